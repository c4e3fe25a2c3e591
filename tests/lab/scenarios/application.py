"""An application behind a web server: each of its pages needs room on its disk, and names the server.

`python -m tests.lab.scenarios.application --name node1 --folder FOLDER` listens on port 8080 of the loopback. It
answers with status 500 when it finds no room in the folder for a session, or a file named `broken`.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["BROKEN", "PORT", "main"]

PORT: Final = 8080
BROKEN: Final = "broken"
_SESSION: Final = bytes(4096)


@dataclass(frozen=True, slots=True)
class Application:
    """The pages of one server."""

    name: str
    folder: Path

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request and its answer."""
        try:
            await reader.readuntil(b"\r\n\r\n")
            status, body = self._page()
            head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write((head + body).encode())
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):  # the web server has gone
            return
        finally:
            writer.close()

    def _page(self) -> tuple[str, str]:
        session = self.folder / "session"
        try:
            session.write_bytes(_SESSION)
            session.unlink()
        except OSError as error:
            return "500 Internal Server Error", f"{error}\n"
        if (self.folder / BROKEN).exists():
            return "500 Internal Server Error", "broken\n"
        return "200 OK", f"web on {self.name}\n"


async def _serve(application: Application) -> None:
    server = await asyncio.start_server(application.answer, "127.0.0.1", PORT)
    print("ready", flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description="pages that need room on a disk")
    parser.add_argument("--name", required=True)
    parser.add_argument("--folder", required=True, type=Path)
    chosen = parser.parse_args()
    asyncio.run(_serve(Application(chosen.name, chosen.folder)))


if __name__ == "__main__":
    main()
