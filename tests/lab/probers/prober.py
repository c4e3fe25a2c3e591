"""A client that asks a service address once a millisecond and notes who answers when.

`python -m tests.lab.probers.prober --target 192.0.2.10 --output probes.jsonl --mac node1=02:00:00:00:00:01 ...`

Two judges: a datagram through the client's own neighbour entry, which is what a client sees, and, for each `--mac`, a
raw frame to that host, which shows who really has the address. The first line of its output is `ready`; then there is
one JSON line whenever another host begins to answer the client. SIGTERM ends it and writes every probe.
"""

from __future__ import annotations

import argparse
import select
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from tests.lab.probers.answers import Answers
from tests.lab.probers.echo import PORT
from tests.lab.probers.frames import Address, Datagram, ethernet
from tests.lab.probers.judgement import written
from tests.lab.realtime import go_first

__all__ = ["main"]

_FAMILY: Final = {4: socket.AF_INET, 6: socket.AF_INET6}
_ANY: Final = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - inside a network namespace


@dataclass(frozen=True, slots=True)
class Way:
    """How a probe goes: through the neighbour table, or as a frame to the MAC of `asked`."""

    asked: str = ""
    mac: str = ""


class Prober:
    """Asks by all ways at each tick; the number of a question is its datagram, which the answer repeats."""

    def __init__(self, target: Address, port: int, interface: str, ways: list[Way]) -> None:
        self._target = (str(target), port)
        self._ways = ways
        self._socket = socket.socket(_FAMILY[target.version], socket.SOCK_DGRAM)
        self._socket.bind((_ANY[target.version], 0))
        self._socket.setblocking(False)
        self._frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._frames.bind((interface, 0))
        self._mac: str = self._frames.getsockname()[4].hex()
        self._question = Datagram(_own_address(target), self._socket.getsockname()[1], target, port, b"")
        self.answers = Answers()

    def run(self, interval_ns: int) -> None:
        """Ask and listen until an exception, as a signal raises it, ends it."""
        for tick in _ticks(interval_ns):
            for way in self._ways:
                self._ask(way)
            while (left := tick + interval_ns - time.monotonic_ns()) > 0:
                if select.select([self._socket], [], [], left / 1e9)[0]:
                    self._listen()

    def _ask(self, way: Way) -> None:
        number = str(self.answers.asked(way.asked)).encode()
        try:
            if way.asked:
                self._frames.send(ethernet(self._mac, way.mac, replace(self._question, data=number)))
            else:
                self._socket.sendto(number, self._target)
        except OSError:
            return  # no neighbour, no carrier: a question without an answer

    def _listen(self) -> None:
        try:
            data = self._socket.recv(2048)
        except OSError:
            return  # an ICMP error about an earlier question
        host, _, number = data.decode().rpartition(" ")
        self.answers.answered(int(number), host)


def main() -> None:
    """Probe until SIGTERM or SIGINT, then write what was seen."""
    chosen = _arguments().parse_args()
    ways = [Way(), *(Way(*pair.split("=", 1)) for pair in chosen.mac)]
    prober = Prober(ip_address(chosen.target), chosen.port, chosen.interface, ways)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    go_first()
    try:
        print("ready", flush=True)
        prober.run(int(chosen.interval_ms * 1e6))
    except KeyboardInterrupt:
        chosen.output.write_text(written(prober.answers.probes))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="ask an address once a millisecond and note who answers when")
    parser.add_argument("--target", required=True, help="the service address, without a prefix length")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--output", required=True, type=Path, help="where the probes are written at the end")
    parser.add_argument("--interface", default="eth0")
    parser.add_argument("--interval-ms", type=float, default=1.0)
    parser.add_argument("--mac", action="append", default=[], metavar="HOST=MAC", help="also ask this host directly")
    return parser


def _ticks(interval_ns: int) -> Iterator[int]:
    """Moments an interval apart; those that were missed are left out, not made up for."""
    tick = time.monotonic_ns()
    while True:
        yield tick
        tick = max(tick + interval_ns, time.monotonic_ns())


def _own_address(target: Address) -> Address:
    with socket.socket(_FAMILY[target.version], socket.SOCK_DGRAM) as way:
        way.connect((str(target), PORT))
        return ip_address(way.getsockname()[0])


if __name__ == "__main__":
    main()
