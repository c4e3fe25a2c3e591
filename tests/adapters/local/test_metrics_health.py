"""The metrics of health checks and of what is sent, as Prometheus gets them."""

from __future__ import annotations

from relocd.adapters.local.metrics import PrometheusMeter
from relocd.model.figures import CheckHealth, Health, ServiceHealth


def samples_of(meter):
    """The value of each sample, by its name and the values of its labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in meter._registry.collect()
        for sample in family.samples
    }


def test_each_check_of_services_and_of_the_server_is_a_sample():
    meter = PrometheusMeter("", 10.0)
    checks = (CheckHealth("units", "ok"), CheckHealth("http", "failing"), CheckHealth("tcp", "starting"))
    service = ServiceHealth("web", "active", checks=checks, failed=True)
    meter.stand(Health((service,), checks=(CheckHealth("ping", "failing"),)))
    for _ in range(3):
        meter.check_failed("web", "http")
    samples = samples_of(meter)
    found = {key[1:]: value for key, value in samples.items() if key[0] == "relocd_health_check_ok"}
    assert found == {("web", "units"): 1, ("web", "http"): 0, ("web", "tcp"): 1, ("", "ping"): 0}
    assert samples["relocd_service_failed_here", "web"] == 1
    assert samples["relocd_health_check_failures_total", "web", "http"] == 3


def test_what_a_queue_loses_is_counted_from_zero():
    """A series that began with the first loss would not have increased by it."""
    meter = PrometheusMeter("", 10.0)
    meter.will_send("history")
    before = {key[1:]: value for key, value in samples_of(meter).items() if key[0] == "relocd_sent_total"}
    assert before == {("history", "done"): 0, ("history", "failed"): 0, ("history", "dropped"): 0}
    meter.sent("history", "failed")
    assert samples_of(meter)["relocd_sent_total", "history", "failed"] == 1
