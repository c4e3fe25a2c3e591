"""Direct reads on a second connection: what the mirror does not hold whole, and the proof that a link is gone.

An absence alone stops nothing: a refresh of an empty, half loaded or misconfigured server would otherwise end every
service at once. Only a positive answer counts; whatever raises `Unavailable` leaves everything as it is.
"""

from __future__ import annotations

import asyncio

from relocd.errors import Unavailable
from relocd.model.dn import DN
from relocd.model.entries import Cluster, Entry, EntryUUID, Server
from relocd.model.parse import parsed
from relocd.ports import DirectoryReader
from relocd.sync.mirror import Mirror

__all__ = ["fill", "is_unlinked"]


async def fill(mirror: Mirror, reader: DirectoryReader) -> bool:
    """Read what the mirror misses; whether anything was found. Raises what failed when nothing was."""
    reads = (reader.by_dn(DN.parse(record.key)) for record in mirror.missing)
    answers = await asyncio.gather(*reads, return_exceptions=True)
    filled = [mirror.fill(entry) for entry in answers if isinstance(entry, Entry)]
    failed = next((error for error in answers if isinstance(error, BaseException)), None)
    if failed is not None and not any(filled):
        raise failed
    return any(filled)


async def is_unlinked(reader: DirectoryReader, me: EntryUUID, service: EntryUUID) -> bool:
    """Whether the directory positively says that nothing links the server to the service, or that it is gone.

    Raises `Unavailable` when the server's own entry is not there or cannot be understood: then nothing is known.
    """
    mine = await reader.by_uuid(me)
    value = None if mine is None else parsed(mine)[0]
    if not isinstance(value, Server):
        raise Unavailable("the directory does not show this server's own entry; nothing is stopped on that")
    entry = await reader.by_uuid(service)
    if entry is None:
        return True
    if entry.dn in value.service_links:
        return False
    clusters = await asyncio.gather(*(reader.by_dn(link) for link in value.cluster_links))
    return not any(_links_to(cluster, entry.dn) for cluster in clusters if cluster is not None)


def _links_to(entry: Entry, service: DN) -> bool:
    value = parsed(entry)[0]
    if value is None:
        raise Unavailable(f"{entry.dn} cannot be understood; nothing is stopped on that")
    return isinstance(value, Cluster) and service in value.service_links
