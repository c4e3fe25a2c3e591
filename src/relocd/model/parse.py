"""Entries of the directory parsed to values, or to problems that name the entry and the value.

An entry is parsed as a whole or not at all: a service with one bad address is a problem, and what runs of it stays as
it is. The value of a `relocSecret` never appears in a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_interface
from typing import Final, TypeVar

from relocd.errors import Invalid
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import (
    Attributes,
    Cluster,
    Entry,
    Failover,
    Isolation,
    LastChange,
    Problem,
    Secret,
    Server,
    Service,
    ServiceAddress,
    ServiceState,
)

__all__ = [
    "CLASSES",
    "SEARCH_FILTER",
    "Model",
    "generation_of",
    "kinds",
    "parsed",
    "search_filter",
]

Model = Server | Cluster | Service | ServiceState


_T = TypeVar("_T")

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_INTERFACE: Final = re.compile(r"[^\s/]{1,127}")  # altnames are longer than the 15 of a name (ALTIFNAMSIZ)
_GENERATION: Final = re.compile(r"[0-9]{1,18}")
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
# Attributes that templates must not see, or that are a field of their own.
_OWN: Final = frozenset({names.SECRET.lower(), "entryuuid", "entrycsn", "modifiersname"})


def kinds(attributes: Attributes) -> frozenset[str]:
    """The classes of relocd that an entry has, in lower case; empty for any other entry."""
    return frozenset(CLASSES) & {value.decode(errors="replace").lower() for value in attributes.get("objectclass", ())}


def parsed(entry: Entry) -> tuple[Model | None, tuple[Problem, ...]]:
    """The value of an entry, or None with every problem that was found in it."""
    found = sorted(kinds(entry.attributes))
    if len(found) != 1:
        what = " and ".join(found) or "none of " + ", ".join(sorted(CLASSES))
        return None, (Problem(str(entry.dn), f"has the classes {what}; give it exactly one"),)
    reader = _Attributes(entry)
    value = CLASSES[found[0]](entry, reader)
    return (None, tuple(reader.problems)) if reader.problems else (value, ())


class _Attributes:
    """Typed access to one entry's attributes that collects problems instead of raising the first."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self.problems: list[Problem] = []

    def foreign(self) -> Attributes:
        """The attributes that templates see; an option (`relocSecret;lang-de`) makes nothing visible."""
        return {name: values for name, values in self._entry.attributes.items() if name.partition(";")[0] not in _OWN}

    def all(self, name: str, convert: Callable[[str], _T], *, secret: bool = False) -> list[_T]:
        values = []
        for raw in self._entry.attributes.get(name.lower(), ()):
            try:
                values.append(convert(raw.decode()))
            except (Invalid, ValueError) as error:
                shown = "a value" if secret else repr(raw.decode(errors="replace"))
                why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
                self.problems.append(Problem(str(self._entry.dn), f"{name} {shown} cannot be used: {why}"))
        return values

    def one(self, name: str, convert: Callable[[str], _T]) -> _T | None:
        values = self.all(name, convert)
        if len(values) > 1:
            self.problems.append(Problem(str(self._entry.dn), f"{name} has {len(values)} values; leave one"))
        return values[0] if values else None

    def require_rdn(self, rdn: str) -> None:
        if not self._entry.dn.key.startswith(rdn + ","):
            self.problems.append(Problem(str(self._entry.dn), f"is not named {rdn}; only an entry of that name counts"))

    def links(self, name: str) -> frozenset[DN]:
        return frozenset(self.all(name, DN.parse))

    def pairs(self, name: str, *, secret: bool = False) -> dict[str, str]:
        pairs: dict[str, str] = {}
        for key, value in self.all(name, _pair, secret=secret):
            if key in pairs:
                self.problems.append(Problem(str(self._entry.dn), f"{name} gives {key!r} twice; leave one"))
            pairs[key] = value
        return dict(sorted(pairs.items()))


def _server(entry: Entry, read: _Attributes) -> Server:
    return Server(
        uuid=entry.uuid,
        dn=entry.dn,
        name=entry.dn.name,
        service_links=read.links(names.SERVICE_LINK),
        cluster_links=read.links(names.CLUSTER_LINK),
        fenced=read.one(names.FENCED, _boolean) or False,
        attributes=read.foreign(),
        changed=_last_change(entry),
    )


def _last_change(entry: Entry) -> LastChange:
    by = next(iter(entry.attributes.get("modifiersname", ())), b"")
    return LastChange(by.decode(errors="replace"), entry.csn)


def _cluster(entry: Entry, read: _Attributes) -> Cluster:
    return Cluster(
        uuid=entry.uuid,
        dn=entry.dn,
        name=entry.dn.name,
        service_links=read.links(names.SERVICE_LINK),
        active=read.one(names.ACTIVE, DN.parse),
        failover=read.one(names.FAILOVER, lambda text: _word(Failover, text)) or Failover.MANUAL,
        preferred=read.links(names.PREFERRED),
        failback_s=read.one(names.FAILBACK, _seconds),
        attributes=read.foreign(),
        changed=_last_change(entry),
    )


def _service(entry: Entry, read: _Attributes) -> Service:
    addresses = tuple(sorted(set(read.all(names.ADDRESS, _address)), key=lambda a: (a.version, a)))
    exclusive = read.one(names.EXCLUSIVE, _boolean)
    secrets = read.pairs(names.SECRET, secret=True)
    return Service(
        uuid=entry.uuid,
        dn=entry.dn,
        name=entry.dn.name,
        addresses=addresses,
        interface=read.one(names.INTERFACE, _interface),
        template_sets=tuple(sorted(read.all(names.TEMPLATE_SET, _set_name))),
        parameters=read.pairs(names.PARAMETER),
        secrets={key: Secret(value) for key, value in secrets.items()},
        exclusive=bool(addresses) if exclusive is None else exclusive,
        isolation=read.one(names.ISOLATION, lambda text: _word(Isolation, text)) or Isolation.KEEP,
        displaces=read.links(names.DISPLACES),
        attributes=read.foreign(),
    )


def _state(entry: Entry, read: _Attributes) -> ServiceState:
    read.require_rdn(names.STATE_RDN)
    return ServiceState(
        uuid=entry.uuid,
        dn=entry.dn,
        csn=entry.csn,
        service=entry.dn.parent,
        holder=read.one(names.HOLDER, DN.parse),
        candidate=read.one(names.CANDIDATE, DN.parse),
        previous=read.one(names.PREVIOUS, DN.parse),
        generation=read.one(names.GENERATION, generation_of),
    )


CLASSES: Final[Mapping[str, Callable[[Entry, _Attributes], Model]]] = {
    names.SERVER_CLASS.lower(): _server,
    names.CLUSTER_CLASS.lower(): _cluster,
    names.SERVICE_CLASS.lower(): _service,
    names.STATE_CLASS.lower(): _state,
}

SEARCH_FILTER: Final = "(|" + "".join(f"(objectClass={name})" for name in CLASSES) + ")"
"""All entries of relocd but the status of servers, which changes at each heartbeat."""

_ABOVE: Final = ("organizationalUnit", "organization", "domain", "dcObject", "locality", "country")
"""The classes of entries above ours: when one is renamed, a search sends only that one (RFC 4533, section 1.3)."""

_SPECIAL: Final = re.compile(r"[\\*()\0]")


def search_filter(me: DN) -> str:
    """What the agent of a server searches for: all entries of relocd, those above, and its own status."""
    own = _SPECIAL.sub(lambda match: f"\\{ord(match[0]):02x}", me.below(names.STATUS_RDN).text)
    above = "".join(f"(objectClass={name})" for name in _ABOVE)
    return f"(|{SEARCH_FILTER}{above}(&(objectClass={names.STATUS_CLASS})(entryDN={own})))"


def _address(text: str) -> ServiceAddress:
    if "/" not in text or "%" in text:
        raise Invalid("write it with its prefix length, as in 192.0.2.10/24 or 2001:db8::10/64")
    address = ip_interface(text)
    ip = address.ip
    if ip.is_multicast or ip.is_unspecified or ip.is_loopback or (ip.version == 6 and ip.is_link_local):
        raise Invalid("a service address is a unicast address that clients can reach")
    network = address.network
    if ip.version == 4 and network.prefixlen < 31 and ip in (network.network_address, network.broadcast_address):
        raise Invalid(f"it is the network or the broadcast address of {network}")
    return address


def _boolean(text: str) -> bool:
    if text.upper() not in {"TRUE", "FALSE"}:
        raise Invalid("write TRUE or FALSE")
    return text.upper() == "TRUE"


def generation_of(text: str) -> int:
    """The value of a written generation; raises `Invalid` for anything but up to 18 digits."""
    if not _GENERATION.fullmatch(text):
        raise Invalid("write a whole number, 0 or more, of at most 18 digits")
    return int(text)


def _seconds(text: str) -> int:
    if not _SECONDS.fullmatch(text):
        raise Invalid("write whole seconds, 0 or more, of at most 9 digits")
    return int(text)


def _interface(text: str) -> str:
    if not _INTERFACE.fullmatch(text):
        raise Invalid("an interface name has 1 to 127 characters without spaces or slashes")
    return text


def _set_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise Invalid("a template set is named with a-z, 0-9, - and _, never by a path")
    return text


def _pair(text: str) -> tuple[str, str]:
    """A key and its value; no message shows the text, since the value may be a secret."""
    key, equals, value = text.partition("=")
    if not equals or not _KEY.fullmatch(key.strip()):
        raise Invalid("write it as key=value, the key of at most 64 letters, digits, _, . and -")
    return key.strip(), value


_Word = TypeVar("_Word", Failover, Isolation)


def _word(words: type[_Word], text: str) -> _Word:
    if text.lower() not in {str(word) for word in words}:
        raise Invalid("write one of " + ", ".join(_listed(words)))
    return words(text.lower())


def _listed(words: Iterable[_Word]) -> list[str]:
    return [str(word) for word in words]
