"""How to reach the directory, as one value, and where the agent on this server reaches it.

A command that is given no directory uses that of the agent's configuration. The file is read by Python's own TOML
parser, since the commands work without the agent's libraries. Only the table `[directory]` is read here; `relocd check`
checks the whole file.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.uri import DirectoryUri

__all__ = ["Access", "with_agent_access"]

_HINT: Final = "run relocd check, or name the directory by --uri and --base"


@dataclass(frozen=True, slots=True)
class Access:
    """Where the directory is and how to bind: as `bind_dn`, by SASL EXTERNAL, or else anonymously.

    SASL EXTERNAL uses the client certificate of `cert_file` and `key_file` where these are set.
    The URIs are tried in order. `timeout_s` limits each step (connect, bind, read, write).
    """

    uris: tuple[str, ...]
    base: str
    bind_dn: str = ""
    password_file: Path | None = None
    external: bool = False
    starttls: bool = False
    ca_file: Path | None = None
    timeout_s: int = 10
    cert_file: Path | None = None
    key_file: Path | None = None


def with_agent_access(access: Access, config: Path) -> Access:
    """The access, with the directory of the agent's configuration where it names none and there is such a file.

    A given identity stays. Else the agent's identity is used if this user may read its password or key, and if not
    the bind is anonymous. Raises `Invalid` for a configuration that names no directory.
    """
    if access.uris or access.base:
        return access
    try:
        table = tomllib.loads(config.read_text(encoding="utf-8"))["directory"]
        found = _reached(table, access)
    except FileNotFoundError:
        return access
    except OSError as error:
        raise Invalid(f"{config}: cannot be read ({error.strerror}); name the directory by --uri and --base") from error
    except (Invalid, KeyError, TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"{config}: has no usable [directory] ({error}); {_HINT}") from error
    own = access.bind_dn or access.external
    return found if own else _as_agent(found, table)


def _reached(table: Mapping[str, object], access: Access) -> Access:
    uris = table["uris"]
    if not isinstance(uris, list) or not uris:
        raise Invalid("uris is not a list of URIs")
    for each in uris:
        DirectoryUri.parse(_text(each))
    base = DN.parse(_text(table["base"]))
    return replace(
        access,
        uris=tuple(map(_text, uris)),
        base=base.written,
        starttls=access.starttls or table.get("starttls") is True,
        ca_file=access.ca_file or _file(table, "ca_file"),
    )


def _as_agent(access: Access, table: Mapping[str, object]) -> Access:
    """The access with the agent's identity, if this user may read its password or key."""
    password, certificate, key = (_file(table, name) for name in ("password_file", "cert_file", "key_file"))
    match table.get("bind"):
        case "simple" if password is not None and os.access(password, os.R_OK):
            dn = DN.parse(_text(table.get("bind_dn", "")))
            return replace(access, bind_dn=dn.written, password_file=password)
        case "external" if key is None or os.access(key, os.R_OK):
            return replace(access, external=True, cert_file=certificate, key_file=key)
    return access


def _file(table: Mapping[str, object], name: str) -> Path | None:
    text = _text(table.get(name, ""))
    return Path(text) if text else None


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise Invalid(f"{value!r} is not a string")
    return value
