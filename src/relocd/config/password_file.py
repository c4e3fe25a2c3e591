"""Files whose first line is a password: of the agent, of a command, of the replication user. Not open to others."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from relocd.errors import Invalid

__all__ = ["first_line"]

_MOST_BYTES: Final = 4096


def first_line(path: Path) -> str:
    """The password; raises `Invalid` when the file cannot be read, others have access, or its first line is empty."""
    try:
        with path.open("rb") as file:
            mode, content = os.fstat(file.fileno()).st_mode, file.read(_MOST_BYTES)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise Invalid(f"{path}: the password cannot be read ({why}); name a file that this user may read") from error
    if mode & stat.S_IRWXO:
        raise Invalid(f"{path}: everyone may read the password; run: chmod o-rwx {path}")
    line = content.partition(b"\n")[0]
    if not line:
        raise Invalid(f"{path}: its first line is empty; write the password there")
    try:
        return line.decode()
    except UnicodeDecodeError as error:  # RFC 4513, section 5.1.3: a password is sent as UTF-8
        raise Invalid(f"{path}: its first line is not UTF-8; convert it, for example with iconv -f latin1") from error
