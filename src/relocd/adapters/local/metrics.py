"""The port `Meter` for Prometheus: an HTTP server in a thread of its own with the metrics at /metrics.

It reports nothing beyond the status and accepts no input. Clients that reach it can read the names of services.

The HTTP server is that of the standard library, with limits on connections and idle time. Clients may hold connections
open. Each costs the agent a descriptor and a thread, and without descriptors it cannot work. So there are never more
than a few: a further one ends the oldest. An idle one is closed after some seconds.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import Counter as Counted
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from socketserver import TCPServer, ThreadingMixIn
from threading import Lock, Thread
from typing import Any, Final, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from relocd import __version__
from relocd.model.figures import Health
from relocd.model.status import Mode

__all__ = ["PrometheusMeter"]

_log = logging.getLogger(__name__)

_MOST_CONNECTIONS: Final = 16
_IDLE_S: Final = 5.0


class _RequestHandler(WSGIRequestHandler):
    """One request; its connection has a time limit, and it is not logged."""

    timeout = _IDLE_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library gave it
        """Log no requests."""


class _MetricsServer(ThreadingMixIn, WSGIServer):
    """Serves `app` at host and port in threads of its own; raises `OSError` when it cannot listen there."""

    daemon_threads = True
    request_queue_size = 128  # a refused client retries only after a second

    def __init__(self, host: str, port: int, app: Callable[..., Iterable[bytes]]) -> None:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        self.address_family = family
        self._connections: dict[socket.socket, None] = {}
        self._lock = Lock()
        super().__init__(address[:2], _RequestHandler)  # type: ignore[arg-type]  # of both families it is a name and a number
        self.set_app(app)
        self._thread = Thread(target=self.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def server_bind(self) -> None:
        """Bind without a lookup of this host's name, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Accept a connection, in place of the oldest one where there are enough."""
        with self._lock:
            oldest = next(iter(self._connections)) if len(self._connections) >= _MOST_CONNECTIONS else None
            if oldest is not None:
                del self._connections[oldest]
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)  # this wakes its thread, which closes it
            self._connections[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._lock:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the library's signature
        """Log a broken or idle connection only for debugging."""
        _log.debug("a connection for metrics ended", exc_info=True)

    def end(self) -> None:
        """Stop listening; blocks for up to half a second."""
        self.shutdown()
        self.server_close()
        self._thread.join()


_Values = Mapping[tuple[str, ...], float]
"""Figures by the values of their labels."""
_OUTCOMES: Final = ("done", "failed", "dropped")
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class PrometheusMeter(Collector):
    """Metrics that are served within the `async with` block; where the port cannot be used, that is only logged.

    `listen` is `HOST:PORT`; `lease_s` is a metric, so that rules can compare the age of the heartbeat with it.
    """

    def __init__(self, listen: str, lease_s: float) -> None:
        self._listen = listen
        self._server: _MetricsServer | None = None
        self._standing = Health()
        self._registry = CollectorRegistry()
        self._steps = Histogram(
            "relocd_step_seconds",
            "Time of the steps of convergences, and of each as a whole (all)",
            ("step", "outcome"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._searches = Counter(
            "relocd_searches", "Searches begun; each but the first reconnects", registry=self._registry
        )
        self._heartbeat = Gauge(
            "relocd_heartbeat_confirmed_timestamp_seconds",
            "When the last heartbeat was sent that has come back, 0 before the first",
            registry=self._registry,
        )
        self._echo = Histogram(
            "relocd_heartbeat_echo_seconds",
            "From a heartbeat's writing to its coming back: provider, replication and search",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._sent = Counter(
            "relocd_sent",
            "Records of the history and notifications: done, failed, or dropped from a full queue",
            ("what", "outcome"),
            registry=self._registry,
        )
        self._check_failures = Counter(
            "relocd_health_check_failures",
            "Health checks that failed once; without a service: those of the whole server",
            ("service", "check"),
            registry=self._registry,
        )
        lease = Gauge("relocd_lease_seconds", "How old a heartbeat may be: [handover] lease_s", registry=self._registry)
        lease.set(lease_s)
        Gauge("relocd_info", "The version", ("version",), registry=self._registry).labels(__version__).set(1)
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    async def __aenter__(self) -> Self:
        host, _, port = self._listen.rpartition(":")
        try:
            self._server = _MetricsServer(host.strip("[]"), int(port), make_wsgi_app(self._registry))
        except (OSError, ValueError) as error:  # the latter for a malformed host name
            fields = {"listen": self._listen, "problem": str(error)}
            _log.warning("no metrics: the port cannot be used", extra={"fields": fields})
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            await asyncio.to_thread(self._server.end)

    def acted(self, step: str, took_s: float, outcome: str) -> None:
        """Count a step in its histogram."""
        self._steps.labels(step, outcome).observe(took_s)

    def searched(self) -> None:
        """Count a search."""
        self._searches.inc()

    def confirmed(self, age_s: float) -> None:
        """Store when the heartbeat was sent, by the clock of this host, and how long it took to come back."""
        self._heartbeat.set(time.time() - age_s)
        self._echo.observe(age_s)

    def check_failed(self, service: str, check: str) -> None:
        """Count a failed health check."""
        self._check_failures.labels(service, check).inc()

    def stand(self, standing: Health) -> None:
        """Replace all figures of services at once: a fetch gets either the old ones or the new ones."""
        self._standing = standing

    def will_send(self, what: str) -> None:
        """Begin with zero: otherwise the first loss would be no increase."""
        for outcome in _OUTCOMES:
            self._sent.labels(what, outcome)

    def sent(self, what: str, outcome: str) -> None:
        """Count what was sent, or not."""
        self._sent.labels(what, outcome).inc()

    def collect(self) -> Iterator[Metric]:
        """The figures of services and of the agent as a whole; called by the server's thread."""
        now = self._standing
        yield from _of_each_service(now)
        yield from _of_all_services(now)
        yield _gauge(
            "relocd_mode",
            "1 for the mode that an administrator has set",
            {(mode,): mode is now.mode for mode in Mode},
            "mode",
        )
        yield GaugeMetricFamily("relocd_directory_current", "1 while the search is complete and goes on", now.current)
        yield GaugeMetricFamily("relocd_problems", "Problems that an administrator should look at", now.problems)


def _of_each_service(now: Health) -> Iterator[Metric]:
    states: _Values = {(each.name, each.state): 1 for each in now.services}
    holds: _Values = {(each.name,): each.holds for each in now.services if each.holds is not None}
    generations: _Values = {(each.name,): each.generation for each in now.services if each.generation is not None}
    yield _gauge("relocd_service_state", "1 for the state of a service here", states, "service", "state")
    yield _gauge("relocd_service_holds", "1 on the server that holds an exclusive service", holds, "service")
    failed: _Values = {(each.name,): each.failed for each in now.services}
    checks: _Values = {
        (service, check.name): check.state != "failing"
        for service, found in (("", now.checks), *((each.name, each.checks) for each in now.services))
        for check in found
    }
    yield _gauge("relocd_health_check_ok", "0 for a health check that fails", checks, "service", "check")
    yield _gauge("relocd_service_failed_here", "1 for a service that failed here by its health", failed, "service")
    yield _gauge("relocd_generation", "The generation acted on", generations, "service")


def _of_all_services(now: Health) -> Iterator[Metric]:
    counted = Counted(each.state for each in now.services)
    held = sum(each.holds is True for each in now.services)
    yield _gauge(
        "relocd_services", "Services by their state here", {(state,): n for state, n in counted.items()}, "state"
    )
    yield GaugeMetricFamily("relocd_held_services", "Exclusive services that this server holds", held)


def _gauge(name: str, text: str, values: _Values, *labels: str) -> Metric:
    """A gauge with one sample for each tuple of label values, in their order."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family
