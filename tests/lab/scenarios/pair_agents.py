"""Agents on a pair of base servers: each follows the control suffix on its own slapd.

    with BasePair() as pair:
        meet(pair.servers)
        pair["node1"].add_as(ADMIN, pair_ldif())
        with agent(pair, "node1", folder):
            ...

`ldapPrimary` has the address `ADDRESS` and the template set `openldap` on the pair's data, `ldapSecondary` has
`openldap-secondary`.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

from relocd.shipped import shipped_template_sets
from tests.lab.hosts.base_server import DATA, READER, BasePair
from tests.lab.hosts.node import Node, Tables
from tests.lab.slapd.ldif import record, server_dn, service_dn, service_ldif
from tests.lab.slapd.slapd import PASSWORD

__all__ = ["ADDRESS", "SECOND_ADDRESS", "SERVICES", "agent", "pair_ldif"]

ADDRESS: Final = "192.0.2.10"
SECOND_ADDRESS: Final = "192.0.2.11"
SERVICES: Final = ("ldapPrimary", "ldapSecondary")
_FOLDER: Final = "/etc/relocd/openldap"
_RUN: Final = "/run/slapd"


def pair_ldif(*, displaces: bool = False) -> str:
    """Both services, and both servers with a password: node1 is linked to the primary, node2 to the secondary.

    When the primary displaces it, the secondary has an address too, `SECOND_ADDRESS`.
    """
    copying = {"suffix": DATA, "bind_dn": READER, "tls": "none", "primary": f"ldap://{ADDRESS}"}
    secret = {"relocSecret": f"password={PASSWORD}"}
    more = {"relocDisplaces": service_dn("ldapSecondary")} if displaces else {}
    primary = service_ldif(
        "ldapPrimary", addresses=[f"{ADDRESS}/24"], template_sets=["openldap"], parameters=copying, **secret, **more
    )
    secondary = service_ldif(
        "ldapSecondary",
        addresses=[f"{SECOND_ADDRESS}/24"] * displaces,
        template_sets=["openldap-secondary"],
        parameters=copying,
        **secret,
    )
    classes = ("device", "simpleSecurityObject", "relocServer")
    servers = [
        record(
            server_dn(name), {"objectClass": classes, "userPassword": PASSWORD, "relocServiceLink": service_dn(service)}
        )
        for name, service in zip(BasePair.nodes, SERVICES, strict=True)
    ]
    return "".join([primary, secondary, *servers])


def agent(pair: BasePair, name: str, folder: Path, tables: Tables | None = None) -> Node:
    """The agent of one server; its programs find the server's own slapd where Debian's would be."""
    more: dict[str, dict[str, object]] = {
        "directory": {"bind_dn": server_dn(name)},
        "guards": {
            "networks": ["192.0.2.0/24"],
            "folders": [_FOLDER],
            "units": ["relocd-openldap@*.service", "relocd-openldap-writes@*.service"],
        },
        **{f"units.script.{_quoted(unit)}": commands for unit, commands in _units().items()},
    }
    for table, keys in (tables or {}).items():
        more[table] = more.get(table, {}) | dict(keys)
    node = Node(pair.lan[name], folder, [pair[name].ldapi_uri], tables=more, folders=["/etc/relocd", _RUN])
    node.place(_FOLDER).mkdir(parents=True, exist_ok=True)
    socket = node.place(_RUN) / "ldapi"
    socket.parent.mkdir(parents=True, exist_ok=True)
    if not socket.is_symlink():
        socket.symlink_to(pair[name].socket)
    return node


def _units() -> dict[str, dict[str, object]]:
    """What the README of the set gives for a server without systemd."""
    readme = (shipped_template_sets() / "openldap" / "README.md").read_text()
    block = next(block for block in re.findall(r"```toml\n(.*?)```", readme, re.DOTALL) if "units.script" in block)
    found: dict[str, dict[str, object]] = tomllib.loads(block)["units"]["script"]
    return found


def _quoted(name: str) -> str:
    return f'"{name}"'
