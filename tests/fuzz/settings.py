"""relocd.toml with odd values: refused with its line, or usable by every part of the agent that takes settings."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from random import Random

from relocd.adapters.ldap.connection import connect
from relocd.adapters.local.metrics import PrometheusMeter
from relocd.config.configuration import read_settings
from relocd.errors import Fatal, RelocdError
from relocd.model.dn import DN
from relocd.model.parse import search_filter
from relocd.model.settings import Settings
from relocd.reconcile.guards import guards
from relocd.sync.mirror import Mirror
from relocd.wiring import template_sets, unusable_files
from tests.fuzz.frame import given
from tests.fuzz.tomls import spoiled, written

NAME = "settings"
CASES = 1600

_BASE = "ou=relocd,dc=example,dc=org"
_TABLES = (
    ("[server]", {"dn": f"cn=me,{_BASE}", "template_sets": ["a"]}),
    (
        "[directory]",
        {
            "uris": ["ldap://127.0.0.1:1"],
            "base": _BASE,
            "bind": "simple",
            "bind_dn": "cn=me",
            "password_file": "/dev/null",
            "starttls": False,
            "ca_file": "",
            "connect_timeout_s": 1.0,
            "operation_timeout_s": 1.0,
            "silence_timeout_s": 10.0,
            "retry_min_s": 0.1,
            "retry_max_s": 10,
        },
    ),
    ("[guards]", {"networks": ["192.0.2.0/24"], "units": ["web*"], "folders": ["/etc/app"]}),
    ("[paths]", {"template_sets": ["/etc/relocd/sets"], "state": "/var/lib/relocd", "run": "/run/relocd"}),
    ("[wire]", {"probes": 3, "probe_interval_ms": 20, "announce_burst": 5, "announce_refresh_s": 60}),
    ("[units]", {"manager": "script", "timeout_s": 60, "poll_s": 5}),
    ("[units.script.web]", {"start": ["/bin/true"], "stop": ["/bin/true", "{name}"]}),
    ("[handover]", {"lease_s": 10, "settle_ms": 100}),
    ("[agent]", {"settle_ms": 100, "retry_min_s": 1, "render_timeout_s": 2, "spare_mib": 8, "realtime_priority": 1}),
    ("[metrics]", {"listen": "127.0.0.1:0"}),
    ("[[health]]", {"interface": "eth0", "interval_s": 1, "timeout_s": 0.5, "fall": 2, "rise": 1, "start_s": 0}),
    ("[[health]]", {"ping": "192.0.2.1"}),
    ("[[health]]", {"command": ["true", "x"]}),
)


def case(random: Random) -> None:
    """One text; `check` and the agent read it by the same function."""
    text = spoiled(random, written(random, _TABLES))
    with given(text=text), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "relocd.toml"
        path.write_text(text, encoding="utf-8", newline="")
        try:
            settings = read_settings(path)
        except Fatal as error:
            assert str(error).startswith(str(path))  # noqa: PT017 - the other outcome goes on
            return
        _used(settings)


def _used(settings: Settings) -> None:
    """What was accepted works, or is refused by an error of relocd."""
    allowed = guards(settings.guards)
    assert allowed.units == settings.guards.units
    Mirror(DN.parse(settings.server.dn), None, int(settings.agent.spare_mib * 2**20))
    search_filter(DN.parse(settings.server.dn))
    list(unusable_files(settings))
    try:
        template_sets(settings).names()
        template_sets(settings).get("a")
    except RelocdError:
        pass
    for uri in settings.directory.uris:
        if "127.0.0.1" in uri:
            _refused(uri, settings)
    asyncio.run(_measured(settings))


def _refused(uri: str, settings: Settings) -> None:
    try:
        connect(uri, settings.directory).close()
    except RelocdError:
        return
    raise AssertionError("nobody listens there")


async def _measured(settings: Settings) -> None:
    if settings.metrics.listen.startswith(("127.0.0.1", "[")) or ":" in settings.metrics.listen:
        async with PrometheusMeter(settings.metrics.listen, settings.handover.lease_s):
            pass
