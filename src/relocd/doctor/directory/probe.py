"""Reading one directory over ldap3: everything that the checks need. Nothing is changed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import ldap3
from ldap3.core import results

from relocd.doctor.directory.acl_trials import Compare, Trial, Tried, trials
from relocd.doctor.directory.facts import DirectoryFacts, Peer, RefreshFacts, TreeFacts
from relocd.errors import Failed, RelocdError, Unavailable
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import csn_time_s
from relocd.model.parse import CLASSES
from relocd.model.writes import Conflict, Lost, Modification
from relocd.openldap.config import Config
from relocd.openldap.connection import Identity, SlapdServer, remote
from relocd.openldap.ldap3_errors import NotFound, Refused, TryElsewhere
from relocd.openldap.syncrepl import words
from relocd.operator.access import Access
from relocd.operator.directory import Directory, Item, on_directory
from relocd.sync.messages import SYNC_REQUEST, sync_request

__all__ = ["directory_facts", "peers"]

_SYNC_DONE: Final = "1.3.6.1.4.1.4203.1.9.1.3"
_REFRESH_DELETES: Final = b"\x01\x01\xff"  # the last part of a Sync Done control, BOOLEAN TRUE
_FILTER: Final = "(|" + "".join(f"(objectClass={name})" for name in (*CLASSES, names.STATUS_CLASS)) + ")"
_ANY: Final = "(objectClass=*)"
_LIMITS: Final = {
    results.RESULT_SIZE_LIMIT_EXCEEDED: "the size limit",
    results.RESULT_TIME_LIMIT_EXCEEDED: "the time limit",
    results.RESULT_ADMIN_LIMIT_EXCEEDED: "an administrative limit",
}


def directory_facts(access: Access, server: DN | None) -> DirectoryFacts:
    """The facts about the one directory of an access; without `server` the bound identity is it, where it is one.

    Raises `Unavailable` when it does not answer, `Failed` when it refuses, `Invalid` for a wrong option.
    """
    facts = on_directory(access, lambda directory: _read(directory, access, server))
    opened, secrets = _shown_anonymously(access)
    config = _config(access)
    asked = peers(config, facts.base)
    return replace(facts, open_entries=opened, open_secrets=secrets, config=config, peers=asked)


def _read(directory: Directory, access: Access, server: DN | None) -> DirectoryFacts:
    identity = directory.identity()
    content, limit = _content(directory)
    if server is None and identity and content.server(DN.parse(identity)) is not None:
        server = DN.parse(identity)
    context = directory.base.context(_values(directory, "", "namingContexts"))
    csns = _values(directory, context.written, "contextCSN")
    return DirectoryFacts(
        uri=access.uris[0],
        base=directory.base,
        context=context,
        identity=identity,
        server=server,
        definitions=_definitions(directory),
        content=content,
        limit=limit,
        refresh=_refresh(directory, _readable(csns)),
        context_csns=csns,
        tried=_tried(directory, content, server, identity),
        open_entries=0,
        open_secrets=0,
        now_s=time.time(),
        config=None,
        peers=(),
    )


def _values(directory: Directory, dn: str, name: str) -> tuple[str, ...]:
    """The values of one entry's attribute, none when it cannot be read."""
    with suppress(Refused, TryElsewhere):
        found = directory.search(dn, _ANY, (name,), scope=ldap3.BASE)
        values = (value for item in found for value in item["raw_attributes"].get(name, []))
        return tuple(value.decode(errors="replace") for value in values)
    return ()


def _definitions(directory: Directory) -> tuple[str, ...]:
    """Attribute types and object classes as the subschema of the directory has them (RFC 4512, section 4.2)."""
    where = next(iter(_values(directory, "", "subschemaSubentry")), "cn=Subschema")
    return tuple(value for name in ("attributeTypes", "objectClasses") for value in _values(directory, where, name))


def _content(directory: Directory) -> tuple[TreeFacts, str]:
    """All entries of relocd, and the limit that has cut off one search for all of them, as an agent makes it."""
    limit = _limit(directory)
    try:
        return TreeFacts(directory.entries(_FILTER)), limit
    except NotFound:
        return TreeFacts(()), limit
    except Failed:
        if not limit:
            raise
        return TreeFacts(()), limit  # paged searches have a limit, too


def _limit(directory: Directory) -> str:
    """Which limit cuts off a search for all entries of relocd, empty where none does."""
    try:
        directory.search(directory.base.written, _FILTER, ("1.1",))
    except Refused as error:
        if not isinstance(error, NotFound) and error.code != results.RESULT_ADMIN_LIMIT_EXCEEDED:
            raise
    return _LIMITS.get(directory.result["result"], "")


def _refresh(directory: Directory, csns: tuple[str, ...]) -> RefreshFacts:
    if _refreshed(directory, "") is None:
        return RefreshFacts(served=False)
    if not csns:
        return RefreshFacts(served=True)
    done = _refreshed(directory, _cookie(csns))
    return RefreshFacts(served=True, by_log=done is not None and done.endswith(_REFRESH_DELETES))


def _cookie(csns: tuple[str, ...]) -> str:
    """The cookie of an agent that has seen all changes but the last."""
    last = max(csns)
    rest = last.partition("#")[2]
    before = datetime.fromtimestamp((csn_time_s(last) or 1.0) - 1e-6, UTC).strftime("%Y%m%d%H%M%S.%fZ")
    return "rid=000,csn=" + ";".join(f"{before}#{rest}" if each == last else each for each in csns)


def _readable(csns: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the values that are valid change numbers."""
    return tuple(each for each in csns if csn_time_s(each) is not None)


def _refreshed(directory: Directory, cookie: str) -> bytes | None:
    """The Sync Done control that answers a refresh of the suffix's own entry; None when there is no such service."""
    try:
        directory.search(
            directory.base.written,
            _ANY,
            ("1.1",),
            scope=ldap3.BASE,
            dereference_aliases=ldap3.DEREF_NEVER,  # slapd's syncprov takes no other
            controls=[(SYNC_REQUEST, True, sync_request(cookie, persist=False))],
        )
    except (Refused, TryElsewhere):
        return None
    done: dict[str, Any] = (directory.result.get("controls") or {}).get(_SYNC_DONE, {})
    return bytes(done.get("value") or b"")


def _tried(directory: Directory, content: TreeFacts, server: DN | None, identity: str) -> tuple[Tried, ...]:
    me = content.server(server) if server is not None else None
    if me is None or not identity:
        return ()
    return tuple(_try(directory, each) for each in trials(me, content.known(me), is_me=DN.parse(identity) == me.dn))


def _try(directory: Directory, trial: Trial) -> Tried:
    try:
        way = trial.way
        answer = _compared(directory, way) if isinstance(way, Compare) else _modified(directory, way)
    except Refused as error:
        denied = error.code == results.RESULT_INSUFFICIENT_ACCESS_RIGHTS
        return Tried(trial, allowed=False) if denied else Tried(trial, None, error.name)
    except TryElsewhere as error:
        return Tried(trial, None, str(error))
    return Tried(trial, True if not answer else None, answer)


def _modified(directory: Directory, modification: Modification) -> str:
    """Why the answer does not show it, empty when it shows that the identity may."""
    outcome = directory.modify(modification)
    if not isinstance(outcome, Lost):
        return "the modify was carried out, which it never should be"
    return "" if outcome.conflict is not Conflict.NO_SUCH_OBJECT else "there is no such entry for this identity"


def _compared(directory: Directory, compare: Compare) -> str:
    try:
        directory.compare(compare.dn, compare.attribute, compare.value)
    except Refused as error:
        if error.code != results.RESULT_NO_SUCH_ATTRIBUTE:
            raise
    return ""


def _shown_anonymously(access: Access) -> tuple[int, int]:
    """How many entries, and how many secrets, the directory shows without an identity."""
    anonymous = replace(access, bind_dn="", password_file=None, external=False)

    def count(directory: Directory) -> tuple[int, int]:
        found: list[Item] = []
        with suppress(Refused, TryElsewhere):
            found = directory.search(access.base, _FILTER, (names.SECRET,))
        return len(found), sum(bool(item["raw_attributes"].get(names.SECRET)) for item in found)

    try:
        return on_directory(anonymous, count)
    except (Failed, Unavailable):  # a server that refuses anonymous clients shows them nothing
        return 0, 0


def _config(access: Access) -> Config | None:
    """The configuration of this slapd, as the bound identity, or over its own socket as the user of this process."""
    ways = [access, replace(access, external=True)] if access.uris[0].lower().startswith("ldapi:") else [access]
    for way in ways:
        with suppress(Failed, Unavailable):
            found = on_directory(way, lambda directory: SlapdServer(directory.uri, directory.connection).config())
            if found.entries:
                return found
    return None


def peers(config: Config | None, base: DN) -> tuple[Peer, ...]:
    """The providers of the database of the base; none where the configuration cannot be read."""
    database = None if config is None else config.holding(base)
    if config is None or database is None:
        return ()
    return tuple(_asked(words(value), config.ca_file) for value in database.values("olcSyncrepl"))


def _asked(directive: Mapping[str, str], ca_file: str) -> Peer:
    uri, suffix = directive.get("provider", ""), directive.get("searchbase", "")
    if directive.get("bindmethod") != "simple":
        return Peer(uri, tried=False)
    starttls = directive.get("starttls", "no") != "no"
    who = Identity(
        directive.get("binddn", ""), directive.get("credentials", ""), starttls, directive.get("tls_cacert", ca_file)
    )
    try:
        with remote(uri, who) as provider:
            csns = provider.context_csns(suffix)
    except RelocdError as error:
        return Peer(uri, problem=str(error))
    problem = "" if csns else f"{uri} has no {suffix} yet, or does not show it; run relocd init-pair there"
    return Peer(uri, problem=problem, context_csns=csns, now_s=time.time())
