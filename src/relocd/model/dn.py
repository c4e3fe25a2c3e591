"""Distinguished names as values that compare the way a directory compares them (RFC 4514, RFC 4518).

Two spellings of one name (case, spaces, escapes, order within a multi-valued RDN) are equal. All attributes are
compared with caseIgnoreMatch, the rule of every naming attribute in common use. As in OpenLDAP that is Unicode's NFKC
and lower case letter by letter: "ß" is not "ss", since two entries may differ only in that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from unicodedata import normalize

from relocd.errors import Invalid
from relocd.printable import one_line

__all__ = ["DN"]

# The numeric spelling of the usual naming attributes (RFC 4519) and their long names.
_ALIASES: Final = {
    "2.5.4.3": "cn",
    "commonname": "cn",
    "2.5.4.6": "c",
    "countryname": "c",
    "2.5.4.7": "l",
    "localityname": "l",
    "2.5.4.10": "o",
    "organizationname": "o",
    "2.5.4.11": "ou",
    "organizationalunitname": "ou",
    "0.9.2342.19200300.100.1.25": "dc",
    "domaincomponent": "dc",
    "0.9.2342.19200300.100.1.1": "uid",
    "userid": "uid",
}
_PLAIN: Final = re.compile(r"(?:[a-z]{1,8}=[A-Za-z0-9._-]+)(?:,[a-z]{1,8}=[A-Za-z0-9._-]+)*")
_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+")
_SPECIAL: Final = frozenset('"+,;<>\\=# ')
_MUST_ESCAPE: Final = re.compile(r'^#|["+,;<>\\]')


@dataclass(frozen=True, slots=True)
class DN:
    """A distinguished name: `text` as it was written, `key` normalised; only `key` counts for equality and hash."""

    text: str = field(compare=False)
    key: str

    @classmethod
    def parse(cls, text: str) -> DN:
        """The value of a written name; raises `Invalid` for anything RFC 4514 does not allow."""
        if _PLAIN.fullmatch(text) and "userid=" not in text:
            return cls(text, text.lower())
        return cls(text, ",".join(_rdn_key(pairs) for pairs in _parsed(text)))

    @property
    def name(self) -> str:
        """The value of the first RDN without escapes, on one line: `web` for `cn=web,ou=services`."""
        pairs = _parsed(self.text)
        return one_line(pairs[0][0][1]) if pairs else ""

    @property
    def written(self) -> str:
        """The name as RFC 4514 writes it, without optional spaces and quotes: the form that is sent to a directory."""
        if _PLAIN.fullmatch(self.text):
            return self.text
        return ",".join("+".join(f"{kind}={_escaped(value)}" for kind, value in pairs) for pairs in _parsed(self.text))

    @property
    def parent(self) -> DN:
        """The name of the entry above this one; the empty name above the top."""
        if _PLAIN.fullmatch(self.text):
            return DN.parse(self.text.partition(",")[2])
        reader = _Reader(self.text)
        if self.text.strip():
            reader.rdn()
        return DN.parse(reader.rest())

    def below(self, rdn: str) -> DN:
        """The name of a child by its written RDN: `state_dn = service.dn.below("cn=state")`."""
        return DN.parse(f"{rdn},{self.text}" if self.text.strip() else rdn)

    def moved(self, former: str, now: DN) -> DN:
        """The name of an entry after the one above it was renamed from the normalised name `former` to `now`."""
        reader = _Reader(self.text)
        reader.rdn()
        for _ in range(self.key.removesuffix("," + former).count(",")):
            reader.expect(",;")
            reader.rdn()
        return now.below(reader.read().strip())

    def is_within(self, base: DN) -> bool:
        """Whether this is `base` itself or lies below it."""
        return self.key == base.key or not base.key or self.key.endswith("," + base.key)

    def context(self, contexts: Iterable[str]) -> DN:
        """The naming context of a directory that contains this name (RFC 4512, section 5.1); contextCSN is there.

        Where none of `contexts` does, it is this name itself; a malformed one is ignored.
        """
        found = (each for each in map(_parsed_or_none, contexts) if each is not None and self.is_within(each))
        return max(found, key=lambda each: len(each.key), default=self)

    def __str__(self) -> str:
        """The name for people: characters that do not print are escaped, so it is one line and the same name."""
        return self.text if self.text.isprintable() else _printable(self.text)


def _parsed_or_none(text: str) -> DN | None:
    try:
        return DN.parse(text)
    except Invalid:
        return None


def _rdn_key(pairs: tuple[tuple[str, str], ...]) -> str:
    return "+".join(sorted(f"{_ALIASES.get(kind.lower(), kind.lower())}={_value_key(value)}" for kind, value in pairs))


def _escaped(value: str) -> str:
    """A value as RFC 4514, section 2.4 writes it; what does not print is written in hexadecimal."""
    value = re.sub(r'^[# ]|["+,;<>\\]| $', lambda found: f"\\{found[0]}", value)
    return _printable(value)


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else _hexadecimal(each) for each in text)


def _hexadecimal(character: str) -> str:
    return "".join(f"\\{byte:02X}" for byte in character.encode())


def _value_key(value: str) -> str:
    """The value as it is compared; escapes are hexadecimal, so that a comma in a key always parts two RDNs."""
    folded = "".join(map(str.lower, normalize("NFKC", value)))
    single_spaced = " ".join(filter(None, folded.split(" ")))
    return _MUST_ESCAPE.sub(lambda match: f"\\{ord(match[0]):02x}", single_spaced)


@lru_cache(maxsize=256)
def _parsed(text: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Every RDN as its attribute/value pairs, values without escapes."""
    if not text.strip():
        return ()
    reader = _Reader(text)
    rdns = [reader.rdn()]
    while not reader.at_end():
        reader.expect(",;")
        rdns.append(reader.rdn())
    return tuple(rdns)


class _Reader:
    """A cursor over one written name."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def at_end(self) -> bool:
        return self._at >= len(self._text)

    def expect(self, characters: str) -> None:
        if self.at_end() or self._text[self._at] not in characters:
            raise self._error(f"expected one of {characters!r}")
        self._at += 1

    def read(self) -> str:
        """What stands before this place."""
        return self._text[: self._at]

    def rest(self) -> str:
        """What follows the separator here; empty at the end."""
        return self._text[self._at + 1 :]

    def rdn(self) -> tuple[tuple[str, str], ...]:
        pairs = [self._pair()]
        while not self.at_end() and self._text[self._at] == "+":
            self._at += 1
            pairs.append(self._pair())
        return tuple(pairs)

    def _pair(self) -> tuple[str, str]:
        self._skip_spaces()
        found = _TYPE.match(self._text, self._at)
        if not found:
            raise self._error("expected an attribute name")
        self._at = found.end()
        self._skip_spaces()
        self.expect("=")
        self._skip_spaces()
        return found[0], self._value()

    def _value(self) -> str:
        if self._text[self._at : self._at + 1] == '"':
            return self._quoted()
        value = bytearray()
        kept = 0  # spaces at the end do not count unless escaped
        while not self.at_end() and self._text[self._at] not in ',;+"<>':
            escaped = self._text[self._at] == "\\"
            value += self._escape() if escaped else self._plain()
            if escaped or value[-1:] != b" ":
                kept = len(value)
        return self._decoded(value[:kept])

    def _quoted(self) -> str:
        """A value in double quotes, as RFC 1779 wrote it and RFC 2253 still reads it.

        As in libldap, a backslash there takes the next character as it is; hexadecimal digits are no escape.
        """
        self._at += 1
        value = bytearray()
        while not self.at_end() and self._text[self._at] != '"':
            self._at += self._text[self._at] == "\\"
            value += self._plain()
        self.expect('"')
        self._skip_spaces()
        return self._decoded(value)

    def _plain(self) -> bytes:
        if self.at_end():
            raise self._error("expected a character")
        character = self._text[self._at]
        self._at += 1
        return character.encode(errors="surrogatepass")  # which is no UTF-8, and refused as such

    def _escape(self) -> bytes:
        after = self._text[self._at + 1 : self._at + 3]
        if re.fullmatch(r"[0-9A-Fa-f]{2}", after):
            self._at += 3
            return bytes.fromhex(after)
        if after and after[0] in _SPECIAL:
            self._at += 2
            return after[0].encode()
        raise self._error("a backslash escapes a special character or two hexadecimal digits")

    def _decoded(self, value: bytes | bytearray) -> str:
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise self._error("the value is not UTF-8") from error

    def _skip_spaces(self) -> None:
        while not self.at_end() and self._text[self._at] == " ":
            self._at += 1

    def _error(self, why: str) -> Invalid:
        return Invalid(f"{self._text!r} is not a distinguished name: {why} at character {self._at + 1}")
