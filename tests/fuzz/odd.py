"""Odd values: what people, programs and broken disks write where a word was expected."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

__all__ = ["odd_bytes", "odd_number", "odd_text", "one_in", "some"]

_NUMBERS = ("0", "-1", "1e999", "-inf", "nan", "inf", "9" * 400, "1" * 5000, "0x7fffffffffffffff", "1.5e-300", "²", "٣")
_TEXTS = (
    "",
    " ",
    "\0",
    "ro\0ot",
    "a\nb",
    "\x1b[2Jx",
    "[/x]",
    "{name}",
    "{",
    "..",
    "../../etc/passwd",
    "/",
    "//",
    "-",
    "%n",
    "$(id)",
    "é",
    "\u202e",
    "\U0001f600",
    "\ufeff",
    "\u017f",
    "x" * 300,
    "x" * 70_000,
    "cn=",
    "cn=\\",
    'cn="',
    "cn=a+cn=b,,",
    "2.5.4.3=#0401",
    "=" * 50,
    "\\" * 51,
    "0.0.0.0/0",
    "192.0.2.10/33",
    "::/129",
    "fe80::1%eth0/64",
    "::ffff:192.0.2.10/96",
    "TRUE",
)
_BYTES = (b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\x80" * 40, b"caf\xe9", b"\0" * 9)


def one_in(random: Random, n: int) -> bool:
    """True once in so many times."""
    return random.randrange(n) == n - 1


def some(random: Random, choices: Sequence[str], most: int) -> list[str]:
    """Up to so many of them, with repetitions."""
    return [random.choice(choices) for _ in range(random.randrange(most + 1))]


def odd_number(random: Random) -> str:
    """A number that is hard to take."""
    return random.choice(_NUMBERS)


def odd_text(random: Random) -> str:
    """A text that is hard to take."""
    made = random.choice((*_TEXTS, *_NUMBERS))
    if one_in(random, 4):
        made = "".join(chr(random.choice((random.randrange(128), random.randrange(0xD800)))) for _ in range(12))
    return made


def odd_bytes(random: Random, usual: str) -> bytes:
    """The usual value, or one that is odd: another text, no text, the usual one cut or with something in it."""
    way = random.randrange(8)
    raw = usual.encode()
    if way <= 3:
        return raw
    if way == 4:
        return odd_text(random).encode()
    if way == 5:
        return random.choice(_BYTES)
    at = random.randrange(len(raw) + 1)
    return raw[:at] if way == 6 else raw[:at] + random.choice((*_BYTES, odd_text(random).encode()[:40])) + raw[at:]
