"""The health checks of a goal: which texts are rendered, and what the rendered texts ask. Pure.

A text that uses `address` is rendered for each address of the service. Where a text, or the name of a program, is
rendered to nothing, there is no such check.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from relocd.errors import Invalid
from relocd.model.health import Check, CheckKind, Endpoint, HealthLimits, HealthSpec, HttpRequest
from relocd.model.settings import ServerCheck
from relocd.model.template_set import TemplateSet
from relocd.reconcile.template_context import TemplateAddress

__all__ = ["PlannedCheck", "PlannedText", "check_of", "endpoint_of", "planned_checks", "server_check", "server_limits"]

_USES_ADDRESS: Final = re.compile(r"\baddress\b")
_PORTS: Final = {"http": 80, "https": 443}
_PLAIN: Final = re.compile(r"[!-~]+")
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class PlannedText:
    """A text of a manifest to render; `where` names it in messages. `address` is one of the service, if it is used."""

    template_set: TemplateSet
    where: str
    text: str
    address: TemplateAddress | None


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """A check whose `texts` are still to be rendered; the name of the host is the last of them, if there is one."""

    spec: HealthSpec
    where: str
    texts: tuple[PlannedText, ...]


def planned_checks(sets: Iterable[TemplateSet], addresses: Sequence[TemplateAddress]) -> Iterator[PlannedCheck]:
    """The checks of template sets for a service with these addresses; those of the units alone are left out."""
    for each in sets:
        for number, spec in enumerate(each.health, start=1):
            texts = (*spec.texts, *((spec.host,) if spec.host else ()))
            where = f"[[health]] {number} {spec.kind}"
            if spec.texts:
                for address in _addresses(texts, addresses):
                    planned = tuple(PlannedText(each, where, text, address) for text in texts)
                    yield PlannedCheck(spec, f"template set {each.name}: {where}", planned)


def check_of(planned: PlannedCheck, texts: Sequence[str]) -> Check | None:
    """The check that rendered texts ask for, None where they ask for none; raises `Invalid` that says what is wrong."""
    spec = planned.spec
    if not texts[0].strip():
        return None
    try:
        if spec.kind is CheckKind.COMMAND:
            return Check(spec.kind, shlex.join(texts)[:_LONGEST_NAME], spec.limits, arguments=tuple(texts))
        if spec.kind is CheckKind.HTTP:
            return _http_check(spec, texts[0].strip(), texts[1] if spec.host else "")
        endpoint = endpoint_of(texts[0].strip())
    except ValueError as error:
        raise Invalid(f"{planned.where} is {texts[0][:_LONGEST_NAME]!r}, which {error}") from error
    return Check(spec.kind, f"{spec.kind} {endpoint}", spec.limits, endpoint)


def server_limits(check: ServerCheck) -> HealthLimits:
    """The numbers of a check of the whole server; restarting a service would not help."""
    shared = {each.name: getattr(check, each.name) for each in fields(HealthLimits) if each.name != "restarts"}
    return HealthLimits(**shared, restarts=0)


def server_check(check: ServerCheck) -> Check:
    """A check of the whole server, as relocd.toml has it."""
    limits = server_limits(check)
    if check.ping:
        return Check(CheckKind.PING, f"ping {check.ping}", limits, Endpoint(ip_address(check.ping), 0))
    if check.interface:
        return Check(CheckKind.CARRIER, f"interface {check.interface}", limits, interface=check.interface)
    return Check(CheckKind.COMMAND, shlex.join(check.command)[:_LONGEST_NAME], limits, arguments=check.command)


def endpoint_of(text: str) -> Endpoint:
    """The endpoint of a text `IP:PORT`, with an IPv6 address in brackets; raises `ValueError`."""
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and host[0] + host[-1] != "[]"):
        raise ValueError("is not IP:PORT, as in 192.0.2.10:80 or [2001:db8::1]:80")
    return _endpoint(host.strip("[]"), port)


def _addresses(texts: Iterable[str], addresses: Sequence[TemplateAddress]) -> Sequence[TemplateAddress | None]:
    return addresses if any(map(_USES_ADDRESS.search, texts)) else (None,)


def _http_check(spec: HealthSpec, url: str, host: str) -> Check:
    if not _PLAIN.fullmatch(url) or not _PLAIN.fullmatch(host or "-"):
        raise ValueError("has a blank or a character that is not ASCII; encode it with %")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or "@" in parts.netloc:
        raise ValueError("is not http://IP:PORT/PATH or https://IP:PORT/PATH")
    endpoint = _endpoint(parts.hostname or "", str(parts.port or _PORTS[parts.scheme]))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = HttpRequest(target, host or parts.netloc, parts.scheme == "https", spec.statuses)
    return Check(spec.kind, url[:_LONGEST_NAME], spec.limits, endpoint, request)


def _endpoint(host: str, port: str) -> Endpoint:
    try:
        ip = ip_address(host)
    except ValueError as error:
        raise ValueError(f"names {host!r} where an IP address is needed") from error
    if not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 2**16):
        raise ValueError(f"has the port {port!r}; a port is 1 to 65535")
    return Endpoint(ip, int(port))
