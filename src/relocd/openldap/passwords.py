"""Passwords as slapd stores them (RFC 2307, `{SSHA}`): salted SHA-1, which slapd knows without a module."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final

__all__ = ["hashed", "is_of"]

_SCHEME: Final = "{SSHA}"
_SALT_BYTES: Final = 8
_SHA1_BYTES: Final = 20


def hashed(password: str) -> str:
    """The password with a new salt."""
    return _ssha(password, secrets.token_bytes(_SALT_BYTES))


def is_of(password: str, stored: str) -> bool:
    """Whether a stored value, hashed or in plain text, is that of the password."""
    if not stored.startswith(_SCHEME):
        return hmac.compare_digest(stored.encode(), password.encode())
    try:
        salt = base64.b64decode(stored.removeprefix(_SCHEME), validate=True)[_SHA1_BYTES:]
    except binascii.Error:
        return False
    return hmac.compare_digest(stored, _ssha(password, salt))


def _ssha(password: str, salt: bytes) -> str:
    digest = hashlib.sha1(password.encode() + salt, usedforsecurity=False).digest()
    return _SCHEME + base64.b64encode(digest + salt).decode()
