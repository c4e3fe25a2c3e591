"""Direct reads on a second connection: what the mirror does not hold whole, and the proof that a link is gone.

An absence alone stops nothing: a refresh of an empty, half loaded or misconfigured server would otherwise end every
service at once. Only a positive answer counts; whatever raises `Unavailable` leaves everything as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from relocd.errors import Unavailable
from relocd.model.dn import DN
from relocd.model.entries import Cluster, Entry, EntryUUID, Server
from relocd.model.parse import Model, parsed
from relocd.ports import DirectoryReader
from relocd.sync.content import Record
from relocd.sync.mirror import Mirror

__all__ = ["fill", "is_put_back", "is_unlinked"]


async def fill(mirror: Mirror, reader: DirectoryReader) -> bool:
    """Read what the mirror misses; whether anything was found. Raises what failed when nothing was."""
    reads = (_read(reader, record) for record in mirror.missing)
    answers = await asyncio.gather(*reads, return_exceptions=True)
    filled = [mirror.fill(entry) for entry in answers if isinstance(entry, Entry)]
    if not any(filled):
        _raise_what_failed(answers)
    return any(filled)


async def is_put_back(mirror: Mirror, reader: DirectoryReader) -> bool:
    """Whether the directory has an entry of concern in an older state than it was known in: a backup was restored.

    Once anything was written to it, it is newer than the cookie of before, so a search goes on from there and says
    nothing of what is older. Raises what failed when nothing older was found.
    """
    known = mirror.concerned
    answers = await asyncio.gather(*map(reader.by_uuid, known), return_exceptions=True)
    if any(entry.csn < known[entry.uuid] for entry in answers if isinstance(entry, Entry)):
        return True
    _raise_what_failed(answers)
    return False


def _raise_what_failed(answers: Iterable[Entry | BaseException | None]) -> None:
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer


async def _read(reader: DirectoryReader, record: Record) -> Entry | None:
    """The entry by its name; where that is another's or nobody's, by its identity.

    A search says nothing of what lies below an entry that is renamed: the state of a service has a new name then, too.
    """
    entry = await reader.by_dn(DN.parse(record.key))
    if entry is not None and entry.uuid == record.uuid:
        return entry
    return await reader.by_uuid(record.uuid)


async def is_unlinked(reader: DirectoryReader, me: EntryUUID, service: EntryUUID) -> bool:
    """Whether the directory positively says that nothing links the server to the service.

    A service whose entry cannot be seen is no proof while any link here leads to nothing: that link may be its own, and
    the entry hidden or not loaded yet. Raises `Unavailable` then, and when an entry that links is not there or cannot
    be understood.
    """
    mine = _understood(await reader.by_uuid(me), "this server's own entry")
    if not isinstance(mine, Server):
        raise Unavailable("this server's own entry is no server any more; nothing is stopped on that")
    clusters = await asyncio.gather(*(reader.by_dn(link) for link in mine.cluster_links))
    found = [_understood(cluster, "a linked cluster") for cluster in clusters if cluster is not None]
    links = mine.service_links.union(*(each.service_links for each in found if isinstance(each, Cluster)))
    entry = await reader.by_uuid(service)
    if entry is not None:
        return entry.dn not in links
    await _check_visible(reader, links)
    return True


async def _check_visible(reader: DirectoryReader, links: Iterable[DN]) -> None:
    for link in links:
        if await reader.by_dn(link) is None:
            raise Unavailable(f"{link} is linked and cannot be seen; if that service is gone, remove the link")


def _understood(entry: Entry | None, what: str) -> Model:
    value = None if entry is None else parsed(entry)[0]
    if value is None:
        raise Unavailable(
            f"the directory does not show {what} so that it can be understood; nothing is stopped on that"
        )
    return value
