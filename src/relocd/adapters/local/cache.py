"""The mirror's cookie and records on disk: after a restart only changes are read, not the whole directory.

The file has no values, only names, identities and links. It names its search and ends with a digest of itself. A file
that is damaged, or of another version, base or server, is ignored: a wrong start is worse than a slow one.
"""

from __future__ import annotations

import asyncio
import json
import logging
from hashlib import sha256
from pathlib import Path
from typing import Any

from relocd.adapters.files.durable import replace_file
from relocd.model.entries import EntryUUID
from relocd.sync.index import Record
from relocd.sync.saved import Saved

__all__ = ["FileCache"]

_log = logging.getLogger(__name__)
_VERSION = 2


class FileCache:
    """The cache in one file; `search` says which search it belongs to: base, filter and server."""

    def __init__(self, path: Path, search: tuple[str, ...]) -> None:
        self._path = path
        self._search = list(search)

    def load(self) -> Saved | None:
        """What was stored for this search, None where there is nothing usable."""
        try:
            body, _, digest = self._path.read_bytes().rpartition(b"\n")
        except OSError:
            return None
        try:
            return self._saved(_verified(body, digest))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            _log.warning("cache ignored", extra={"fields": {"file": str(self._path), "problem": str(error)}})
            return None

    async def store(self, saved: Saved) -> None:
        """Replace the file; raises `Failed` naming it."""
        await asyncio.to_thread(self._write, saved)

    def _write(self, saved: Saved) -> None:
        content = {
            "version": _VERSION,
            "search": self._search,
            "cookie": saved.cookie,
            "me": saved.me,
            "former": dict(saved.former),
            "records": [_listed(record) for record in saved.records],
        }
        body = json.dumps(content).encode()
        replace_file(self._path, body + b"\n" + sha256(body).hexdigest().encode())

    def _saved(self, content: dict[str, Any]) -> Saved:
        if (content["version"], content["search"]) != (_VERSION, self._search):
            raise ValueError("it belongs to another version, base or server")
        records = (
            Record(EntryUUID(uuid), key, csn, tuple(links), tuple(servers), is_state)
            for uuid, key, csn, links, servers, is_state in content["records"]
        )
        former = {key: EntryUUID(uuid) for key, uuid in content["former"].items()}
        return Saved(content["cookie"], content["me"], former, tuple(records))


def _listed(record: Record) -> list[object]:
    return [record.uuid, record.key, record.csn, record.links, record.servers, record.is_state]


def _verified(body: bytes, digest: bytes) -> dict[str, Any]:
    if sha256(body).hexdigest().encode() != digest:
        raise ValueError("its digest is wrong")
    content: dict[str, Any] = json.loads(body)
    return content
