"""Hypothesis strategies that several tests share: names and their spellings, and whole directories."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["rdns", "spelled", "written"]

Pair = tuple[str, str]
Rdn = tuple[Pair, ...]

_SPECIAL = '"+,;<>\\=#'
_TYPES = ("cn", "ou", "dc", "o", "uid", "l", "c", "serialNumber", "2.5.4.5")
_LETTERS = "abcXYZ019äÖé€-_./:'@ " + _SPECIAL
values = st.text(_LETTERS, min_size=1, max_size=8).filter(lambda value: value.strip() == value)
_pairs = st.tuples(st.sampled_from(_TYPES), values)


def rdns(max_size: int = 4) -> st.SearchStrategy[tuple[Rdn, ...]]:
    """A name as its RDNs, each of one or two attribute/value pairs; of one attribute there is only one value."""
    several = st.lists(_pairs, min_size=1, max_size=2, unique_by=lambda pair: pair[0])
    return st.lists(several.map(tuple), min_size=1, max_size=max_size).map(tuple)


@st.composite
def written(draw: st.DrawFn, name: tuple[Rdn, ...]) -> str:
    """One of the ways to write exactly these values (RFC 4514, and RFC 2253's older forms)."""
    separators = st.sampled_from([",", ";", ", ", " , ", ",  "])
    text = draw(_written_rdn(name[0]))
    for rdn in name[1:]:
        text += draw(separators) + draw(_written_rdn(rdn))
    return text


@st.composite
def spelled(draw: st.DrawFn, name: tuple[Rdn, ...]) -> str:
    """One of the ways to write a name that means the same: also other case, spaces and order within an RDN."""
    same = []
    for rdn in name:
        pairs = draw(st.permutations(rdn))
        same.append(tuple((draw(_other_case(kind)), draw(_same_value(value))) for kind, value in pairs))
    return draw(written(tuple(same)))


@st.composite
def _written_rdn(draw: st.DrawFn, rdn: Rdn) -> str:
    parts = [f"{kind}{draw(_spaces)}={draw(_spaces)}{draw(_written_value(value))}" for kind, value in rdn]
    return draw(st.sampled_from(["+", " + "])).join(parts)


@st.composite
def _written_value(draw: st.DrawFn, value: str) -> str:
    if draw(st.integers(0, 9)) == 0:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    last = len(value) - 1
    return "".join(draw(_written_character(each, at in {0, last})) for at, each in enumerate(value))


@st.composite
def _written_character(draw: st.DrawFn, character: str, at_an_end: bool) -> str:
    in_hexadecimal = "".join(f"\\{byte:02{draw(st.sampled_from('xX'))}}" for byte in character.encode())
    ways = [in_hexadecimal]
    if character in _SPECIAL:
        ways.append("\\" + character)
    if character == " ":
        ways.append("\\ ")
    if character not in '"+,;<>\\' and not (at_an_end and character in "# "):
        ways += [character] * 5
    return draw(st.sampled_from(ways))


_spaces = st.sampled_from(["", "", "", " ", "  "])


@st.composite
def _other_case(draw: st.DrawFn, text: str) -> str:
    return draw(st.sampled_from([text, text.upper(), text.lower()]))


@st.composite
def _same_value(draw: st.DrawFn, value: str) -> str:
    return draw(_other_case(value)).replace(" ", " " * draw(st.integers(1, 3)))
