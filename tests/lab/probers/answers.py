"""What a probing program notes: every question and its answer, told live when another host begins to answer."""

from __future__ import annotations

import json
import time
from dataclasses import replace

from tests.lab.probers.judgement import Probe

__all__ = ["Answers"]


class Answers:
    """The probes so far; a question is known by its number."""

    def __init__(self) -> None:
        self.probes: list[Probe] = []
        self._host: str | None = None
        self._last_ns: int | None = None

    def asked(self, way: str = "") -> int:
        """Note a question that is about to be asked, and give it a number."""
        self.probes.append(Probe(time.monotonic_ns(), way))
        return len(self.probes) - 1

    def answered(self, number: int, host: str) -> None:
        """Note an answer that has just come; print a JSON line when the client hears another host than before."""
        now = time.monotonic_ns()
        probe = replace(self.probes[number], host=host, answered_ns=now)
        self.probes[number] = probe
        if probe.asked:
            return
        if host != self._host:
            silent = None if self._last_ns is None else now - self._last_ns
            change = {"host": host, "sent_ns": probe.sent_ns, "answered_ns": now, "silent_ns": silent}
            print(json.dumps(change), flush=True)
        self._host, self._last_ns = host, now
