"""The bound on every value that reaches a template: length in bytes, no control characters, the whole pattern."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.model.template_set import UNDECLARED, Declared, refusal


def bounds(pattern: str, *, max_length: int = 5000, several: bool = False, multiline: bool = False) -> Declared:
    return Declared("x", pattern, max_length, several=several, multiline=multiline)


def takes(pattern: str, value: str, **more: bool) -> bool:
    return not refusal(value, bounds(pattern, **more))


@given(st.ip_addresses())
def test_every_address_is_one_of_its_version_however_it_is_written(address):
    forms = {address.compressed, address.exploded, address.compressed.upper()}
    assert all(takes("{ip}", form) for form in forms)
    assert all(takes(f"{{ipv{address.version}}}", form) for form in forms)
    assert not any(takes(f"{{ipv{10 - address.version}}}", form) for form in forms)


@given(st.text(alphabet="0123456789abfF:.", max_size=40))
def test_what_python_takes_for_no_address_is_none(text):
    try:
        ip_address(text)
    except ValueError:
        assert not takes("{ip}", text)


@given(st.ip_addresses().flatmap(lambda ip: st.tuples(st.just(ip), st.integers(0, 140))))
def test_a_network_has_a_prefix_length_of_its_version(pair):
    text = f"{pair[0]}/{pair[1]}"
    assert takes("{network}", text) == (pair[1] <= pair[0].max_prefixlen)
    assert not takes("{network}", text) or ip_interface(text)


@given(st.integers(-1, 70000))
def test_a_port_is_from_1_to_65535(number):
    assert takes("{port}", str(number)) == (1 <= number <= 65535)


@pytest.mark.parametrize(
    ("pattern", "value", "taken"),
    [
        ("{port}", "080", False),
        ("{domain}", "a.example.org", True),
        ("{domain}", "_ldap.a-b.example", True),
        ("{domain}", "a" * 63, True),
        ("{domain}", "a" * 64, False),
        ("{domain}", "a." * 126 + "b", True),
        ("{domain}", "a." * 126 + "bc", False),
        ("{domain}", "-a", False),
        ("{domain}", "a-", False),
        ("{domain}", "a..b", False),
        ("{domain}", "a.", False),
        ("{domain}", "192.0.2.256", False),
        ("{host}", "192.0.2.256", False),
        ("{host}", "1.2.3.4", True),
        ("{host}", "3com.example", True),
        ("a{domain}b", "a3b", True),
        ("{host}:{port}", "a.example:80", True),
        ("[0-9]{1,3}", "123", True),
    ],
)
def test_a_word_stands_for_a_whole_one(pattern, value, taken):
    assert takes(pattern, value) is taken


CONTROLS = ["\0", "\n", "\r", "\t", "\x0b", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"]


@pytest.mark.parametrize("control", CONTROLS, ids=ascii)
def test_a_control_character_is_refused_whatever_the_pattern(control):
    for declared in (UNDECLARED, bounds("(?s).*"), bounds("[^x]*")):
        assert "control character" in refusal(f"a{control}b", declared)
    assert takes("(?s).*", f"a{control}b", multiline=True) is (control in "\n\t")


def test_the_length_is_in_bytes():
    assert not refusal("ä" * 5, bounds(".+", max_length=10))
    assert "12 bytes, and 10" in refusal("ä" * 6, bounds(".+", max_length=10))
    assert not refusal("a" * 4096, UNDECLARED)
    assert refusal("a" * 4097, UNDECLARED)


@pytest.mark.parametrize(
    ("value", "taken"), [("1", True), ("1 2 3", True), ("1  2", False), (" 1", False), ("1 ", False), ("", False)]
)
def test_several_are_between_single_spaces(value, taken):
    assert takes("[0-9]", value, several=True) is taken


def test_the_default_is_allowed_whatever_the_pattern():
    declared = Declared("x", "[0-9]+", 5, default="")
    assert not refusal("", declared)
    assert refusal("a", declared)


@given(st.text(max_size=30))
def test_no_refusal_shows_the_value(value):
    marked = f"!{value}!"
    assert marked not in refusal(marked, bounds("[0-9]+"))
