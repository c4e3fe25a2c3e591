"""The port `Meter` for Prometheus: an HTTP server in a thread of its own that shows the figures at /metrics.

It says nothing that the status does not say, and takes nothing. Whoever reaches it reads the names of services.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from threading import Thread
from typing import Any, Final, Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from relocd import __version__
from relocd.ports import Standing

__all__ = ["PrometheusMeter"]

_log = logging.getLogger(__name__)
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class PrometheusMeter(Collector):
    """Figures that can be fetched within the `async with` block; where they cannot, that is logged and nothing else."""

    def __init__(self, listen: str) -> None:
        self._listen = listen
        self._server: tuple[Any, Thread] | None = None
        self._standing = Standing({}, 0, 0, {})
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
        Gauge("relocd_info", "The version", ("version",), registry=self._registry).labels(__version__).set(1)
        self._registry.register(self)

    async def __aenter__(self) -> Self:
        host, _, port = self._listen.rpartition(":")
        try:
            self._server = start_http_server(int(port), host.strip("[]"), self._registry)
        except OSError as error:
            fields = {"listen": self._listen, "problem": str(error)}
            _log.warning("no metrics, their port cannot be used", extra={"fields": fields})
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            server, thread = self._server
            await asyncio.to_thread(server.shutdown)
            server.server_close()
            await asyncio.to_thread(thread.join)

    def acted(self, step: str, took_s: float, outcome: str) -> None:
        """Count a step in its histogram."""
        self._steps.labels(step, outcome).observe(took_s)

    def searched(self) -> None:
        """Count a search."""
        self._searches.inc()

    def confirmed(self, age_s: float) -> None:
        """Keep when the heartbeat was sent, by the clock of this host."""
        self._heartbeat.set(time.time() - age_s)

    def stand(self, standing: Standing) -> None:
        """Replace the figures of services at once: a fetch sees these or those before."""
        self._standing = standing

    def collect(self) -> Iterator[Metric]:
        """The figures of services; called by the server's thread."""
        now = self._standing
        states = GaugeMetricFamily("relocd_services", "Services by their state here", labels=("state",))
        for state, count in sorted(now.states.items()):
            states.add_metric((state,), count)
        generations = GaugeMetricFamily("relocd_generation", "The generation acted on", labels=("service",))
        for service, generation in sorted(now.generations.items()):
            generations.add_metric((service,), generation)
        yield states
        yield generations
        yield GaugeMetricFamily("relocd_held_services", "Exclusive services that this server holds", now.held)
        yield GaugeMetricFamily("relocd_problems", "What somebody should look at", now.problems)
