"""How a person or a trigger reaches the directory, as one value; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Access"]


@dataclass(frozen=True, slots=True)
class Access:
    """Where the directory is and as whom to bind; without `bind_dn` anonymously, or by SASL EXTERNAL.

    With `cert_file` and `key_file` SASL EXTERNAL goes by a client certificate.
    The URIs are tried in order, each for `timeout_s` seconds a step (connect, bind, read, write).
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
