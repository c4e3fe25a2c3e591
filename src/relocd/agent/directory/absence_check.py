"""Direct reads on a second connection: what the mirror misses, what it may have wrong, and what is gone.

An absence alone stops nothing: the refresh of an empty, half loaded or misconfigured directory server would otherwise
stop every service at once. Only a positive answer counts; `Unavailable` leaves everything as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Final

from relocd.errors import RelocdError, Unavailable
from relocd.model.dn import DN
from relocd.model.entries import Cluster, Entry, EntryUUID, Server
from relocd.model.parse import Model, kinds, parsed
from relocd.ports.directory import DirectoryReader
from relocd.sync.index import Record
from relocd.sync.mirror import Mirror

__all__ = ["ELSEWHERE", "PUT_BACK", "absence_doubt", "contradiction", "fill", "is_unlinked", "leads_elsewhere"]

PUT_BACK: Final = "it was put back to an earlier time"
ELSEWHERE: Final = "entries have other names or contents than the search told, or are gone"
_ON_ITS_WAY_S: Final = 0.1
"""A search tells within this time what a direct read finds."""


async def fill(mirror: Mirror, reader: DirectoryReader) -> bool:
    """Read what the mirror misses; whether anything was found. Raises what failed when nothing was."""
    reads = (_read(reader, record) for record in mirror.missing)
    answers = await asyncio.gather(*reads, return_exceptions=True)
    filled = [mirror.fill(entry) for entry in answers if isinstance(entry, Entry)]
    if not any(filled):
        _raise_what_failed(answers)
    return any(filled)


async def contradiction(mirror: Mirror, reader: DirectoryReader) -> str:
    """Why what the search has told of the entries of interest is wrong; empty when direct reads confirm it.

    A restored backup is older than what was known. Once anything was written to it, it is newer than the cookie of
    before, so a search goes on from there and says nothing of what is older. Neither does it tell of an entry below one
    that was renamed, of entries that another database has not, nor of a change that was stamped by a wrong clock.
    Raises what failed when nothing was found.
    """
    answers = await _read_by_identity(reader, mirror.of_interest)
    if any(isinstance(each, Entry) and each.csn < mirror.csn(uuid) for uuid, each in answers.items()):
        return PUT_BACK
    untold = {uuid: each for uuid, each in answers.items() if _differs(mirror, uuid, each)}
    if untold:
        await asyncio.sleep(_ON_ITS_WAY_S)
        again = await _read_by_identity(reader, untold)
        if any(each == untold[uuid] and _differs(mirror, uuid, each) for uuid, each in again.items()):
            return ELSEWHERE
    _raise_what_failed(answers.values())
    return ""


async def _read_by_identity(
    reader: DirectoryReader, uuids: Iterable[EntryUUID]
) -> dict[EntryUUID, Entry | BaseException | None]:
    wanted = tuple(uuids)
    return dict(zip(wanted, await asyncio.gather(*map(reader.by_uuid, wanted), return_exceptions=True), strict=True))


def _differs(mirror: Mirror, uuid: EntryUUID, found: Entry | BaseException | None) -> bool:
    """Whether an entry has another name than the search told, has changed since, or is gone."""
    known = mirror.key(uuid), mirror.csn(uuid)
    if isinstance(found, BaseException) or not known[0]:
        return False
    return found is None or known != (found.dn.key, found.csn)


async def leads_elsewhere(mirror: Mirror, reader: DirectoryReader, name: DN, base: DN) -> bool:
    """Whether an entry has a name that leads to nothing by what the search has told; raises what failed.

    An entry that was added or renamed just now is told of within that moment.
    """
    found = await reader.by_dn(name)
    if not _is_ours(found, base):
        return False
    await asyncio.sleep(_ON_ITS_WAY_S)
    return not mirror.finds(name) and _is_ours(await reader.by_dn(name), base)


def _is_ours(entry: Entry | None, base: DN) -> bool:
    return entry is not None and bool(kinds(entry.attributes)) and entry.dn.is_within(base)


def _raise_what_failed(answers: Iterable[Entry | BaseException | None]) -> None:
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer


async def _read(reader: DirectoryReader, record: Record) -> Entry | None:
    """The entry by its name; where that name is another entry's or does not exist, by its identity.

    A search does not tell of entries below one that is renamed: the state of a service has a new name then, too.
    """
    entry = await reader.by_dn(DN.parse(record.key))
    if entry is not None and entry.uuid == record.uuid:
        return entry
    return await reader.by_uuid(record.uuid)


async def is_unlinked(reader: DirectoryReader, me: EntryUUID, service: EntryUUID) -> bool:
    """Whether the directory positively says that nothing links the server to the service.

    A link that leads to nothing may be that to an entry which is hidden, not loaded yet, or has moved with the one
    above it. So it is no proof while a linked cluster cannot be seen, nor while a link leads to nothing and the service
    cannot be seen or has the same name elsewhere. Raises `Unavailable` then, and when an entry that links is not there
    or cannot be understood.
    """
    mine = _understood(await reader.by_uuid(me), "this server's own entry")
    if not isinstance(mine, Server):
        raise Unavailable("this server's own entry is no server any more; nothing is stopped on that")
    clusters = [await _visible(reader, link) for link in sorted(mine.cluster_links, key=str)]
    found = [_understood(cluster, "a linked cluster") for cluster in clusters]
    links = mine.service_links.union(*(each.service_links for each in found if isinstance(each, Cluster)))
    entry = await reader.by_uuid(service)
    if entry is not None and entry.dn in links:
        return False
    for link in links if entry is None else _like(links, entry.dn):
        await _visible(reader, link)
    return True


async def absence_doubt(is_gone: Awaitable[bool]) -> str | None:
    """Why what seems not to be linked any more must stay, None when it may go; `is_gone` asks the directory."""
    try:
        return None if await is_gone else "a direct read still finds the link"
    except RelocdError as error:
        return str(error)


def _like(links: Iterable[DN], dn: DN) -> list[DN]:
    """The links to an entry with the same RDN elsewhere."""
    return [link for link in links if link.key.partition(",")[0] == dn.key.partition(",")[0]]


async def _visible(reader: DirectoryReader, link: DN) -> Entry:
    entry = await reader.by_dn(link)
    if entry is None:
        raise Unavailable(
            f"{link} is linked and cannot be seen; if it is gone, remove the link; if it moved, correct it"
        )
    return entry


def _understood(entry: Entry | None, what: str) -> Model:
    value = None if entry is None else parsed(entry)[0]
    if value is None:
        raise Unavailable(
            f"the directory does not show {what} so that it can be understood; nothing is stopped on that"
        )
    return value
