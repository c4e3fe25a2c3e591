"""How to reach the directory, as one value; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Access"]


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
