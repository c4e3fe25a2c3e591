"""What the tests of the shipped template sets share: a context, and a set rendered, checked and installed."""

from __future__ import annotations

import re
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_interface
from pathlib import Path

import pytest

from relocd.adapters.files.files import DiskFiles
from relocd.adapters.templates.renderer import WorkerRenderer
from relocd.adapters.templates.template_sets import FolderTemplateSets
from relocd.adapters.units.commands import ProcessCommands
from relocd.errors import Invalid, RelocdError
from relocd.model.host import NewFile
from relocd.model.masking import told
from relocd.model.template_set import TemplateSet
from relocd.reconcile.spec import PlannedFile, expanded, rendered_file
from relocd.reconcile.template_context import TemplateContext
from relocd.shipped import shipped_template_sets
from tests.lab.hosts.hosts import Host, entered
from tests.support.contexts import template_context

__all__ = ["PATIENCE_S", "context", "installed", "on_node", "raised", "refused", "resolved", "shipped", "verified_unit"]

PATIENCE_S = 10.0
ADDRESSES = ("192.0.2.80/24", "2001:db8::80/64")


def context(
    name: str = "web",
    /,
    *,
    addresses: Sequence[str] = ADDRESSES,
    role: str = "active",
    secrets: Mapping[str, str] | None = None,
    server: str = "node1",
    **parameters: str,
) -> TemplateContext:
    """What the templates of a service see."""
    placed = [ip_interface(address) for address in addresses]
    shown = [{"ip": str(each.ip), "prefix": each.network.prefixlen, "version": each.version} for each in placed]
    return template_context(
        server={"name": server},
        service={"name": name, "addresses": shown},
        role=role,
        parameters=parameters,
        secrets=secrets or {},
    )


def shipped(name: str) -> TemplateSet:
    return FolderTemplateSets([], shipped_template_sets()).get(name)


async def installed(
    renderer: WorkerRenderer,
    name: str,
    values: TemplateContext,
    folder: Path,
    wrapped: Callable[[list[str]], list[str]],
) -> dict[str, str]:
    """Render a set and install its files in a folder, checked as `wrapped` says; what the files hold, by name."""
    template_set = expanded(shipped(name), values.service.name if values.service else "")
    planned = [PlannedFile(template_set, spec) for spec in template_set.files]
    files = []
    for each, rendered in zip(planned, await renderer.render(planned, values), strict=True):
        if isinstance(rendered, Invalid):
            raise rendered
        file = rendered_file(each, rendered.text, secret=rendered.secret)
        checks = tuple(tuple(wrapped(list(check))) for check in each.spec.checks)
        own = NewFile(str(folder / Path(each.spec.target).name), file.content, file.digest, checks=checks)
        files.append(own)
    await DiskFiles(ProcessCommands(), [str(folder)]).install(files)
    return {Path(file.target).name: file.content.decode() for file in files}


@contextmanager
def refused(text: str) -> Iterator[None]:
    """The block ends with an error that has this text, or with a program that said it."""
    with pytest.raises(RelocdError) as raised:
        yield
    assert text in told(raised.value, ())


def on_node(node: Host, argv: list[str]) -> list[str]:
    """The argument list that runs a program on a host, with a /run of its own."""
    private = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$@"', "sh"]
    return node.command([*private, *argv])


def verified_unit(folder: Path, name: str, unit: str, program: str = "") -> tuple[int, str]:
    """What systemd says of a unit that a set ships; `program` stands in for one that is not installed here."""
    source = shipped_template_sets() / name / f"{unit}@.service"
    text = source.read_text()
    if program:
        text = re.sub(rf"=(/usr/local/sbin/)?{Path(program).name} ", f"={program} ", text)
    (folder / source.name).write_text(text)
    verify = ["systemd-analyze", "verify", "--man=no", str(folder / f"{unit}@web.service")]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.returncode, done.stderr


@contextmanager
def raised(host: Host, *addresses: str) -> Iterator[None]:
    """The addresses on a host, for the block."""
    for address in addresses:
        host.run(["ip", "address", "add", address, "dev", host.interface, *(["nodad"] if ":" in address else [])])
    try:
        yield
    finally:
        for address in addresses:
            host.run(["ip", "address", "delete", address, "dev", host.interface])


def resolved(host: Host, server: str, name: str) -> str | None:
    """The first IPv4 address that a name server (RFC 1035) gives to a client, None for no answer."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)
    with entered(host), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1.0)
        client.sendto(question, (server, 53))
        try:
            return socket.inet_ntoa(client.recv(512)[-4:])
        except OSError:
            return None
