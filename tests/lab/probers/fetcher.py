"""A client that fetches a web page over and over and notes whose page it is.

`python -m tests.lab.probers.fetcher --target 192.0.2.20 --output fetches.jsonl --host node1 --host node2`

Every attempt is a connection of its own, and a new one starts each interval whatever became of the last: a connection
that lost its first packet would wait a second for the next (RFC 6298, section 2). It speaks on its output as the
prober does: `ready`, then a JSON line whenever another host's page comes.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.lab.probers.answers import Answers
from tests.lab.probers.judgement import written

__all__ = ["main"]

_PATIENCE_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Page:
    """What is fetched, and the names of the hosts, of which the page has one."""

    target: str
    port: int
    hosts: Sequence[str]

    async def host(self) -> str | None:
        """The host that is named in the page, None when there is no such page."""
        reader, writer = await asyncio.open_connection(self.target, self.port)
        try:
            writer.write(f"GET / HTTP/1.0\r\nHost: {self.target}\r\n\r\n".encode())
            text = (await reader.read(-1)).decode(errors="replace")
        finally:
            writer.close()
        status, _, body = text.partition("\r\n\r\n")
        return next((host for host in self.hosts if host in body), None) if " 200 " in status else None


async def fetch(page: Page, interval_s: float, answers: Answers) -> None:
    """Fetch again and again until cancelled."""
    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(_attempt(page, answers))
            await asyncio.sleep(interval_s)


async def _attempt(page: Page, answers: Answers) -> None:
    number = answers.asked()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            host = await page.host()
    except OSError:  # a TimeoutError is one
        return
    if host:
        answers.answered(number, host)


async def _until_ended(page: Page, interval_s: float, answers: Answers) -> None:
    fetching = asyncio.ensure_future(fetch(page, interval_s, answers))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, fetching.cancel)
    print("ready", flush=True)
    with suppress(asyncio.CancelledError):
        await fetching


def main() -> None:
    """Fetch until SIGTERM or SIGINT, then write what was seen."""
    parser = argparse.ArgumentParser(description="fetch a page over and over and note whose it is")
    parser.add_argument("--target", required=True, help="the service address, without a prefix length")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--output", required=True, type=Path, help="where the attempts are written at the end")
    parser.add_argument("--interval-ms", type=float, default=5.0)
    parser.add_argument("--host", action="append", default=[], help="a name that a page may have")
    chosen = parser.parse_args()
    answers = Answers()
    asyncio.run(_until_ended(Page(chosen.target, chosen.port, chosen.host), chosen.interval_ms / 1000, answers))
    chosen.output.write_text(written(answers.probes))


if __name__ == "__main__":
    main()
