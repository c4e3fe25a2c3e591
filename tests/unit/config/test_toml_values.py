"""TOML to dataclasses: what is right becomes a value, what is wrong names file, line, key and the way out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import pytest

from relocd.config.toml_values import TomlText
from relocd.errors import Invalid


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Item:
    name: str
    colors: frozenset[Color] = frozenset()
    commands: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Basic:
    level: Literal["low", "high"] = "low"
    wait_s: float = 1.0
    count: int = 3
    on: bool = False


@dataclass(frozen=True)
class Document:
    title: str
    basic: Basic = Basic()
    item: tuple[Item, ...] = ()
    named: Mapping[str, Item] = field(default_factory=dict)
    color: Color = Color.RED


def decoded(text: str) -> Document:
    return TomlText("relocd.toml", text).decoded(Document)


def test_everything_given():
    text = """
title = "t"
color = "blue"
[basic]
level = "high"
wait_s = 2
[[item]]
name = "a"
colors = ["red", "blue"]
commands = [["x", "y"], ["z"]]
[[item]]
name = "b"
[named.n]
name = "c"
"""
    items = (Item("a", frozenset(Color), (("x", "y"), ("z",))), Item("b"))
    assert decoded(text) == Document("t", Basic("high", 2.0), items, {"n": Item("c")}, Color.BLUE)


def test_defaults():
    assert decoded('title = "t"') == Document("t")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('title = "t"\nx = ', "line 2: this is not TOML", id="syntax"),
        pytest.param("title = ", "line 1: this is not TOML", id="syntax at the end"),
        pytest.param("", "line 1: 'title' is missing and has no default", id="missing at the top"),
        pytest.param('title = "t"\n\n[[item]]\n', "line 3: [[item]] 1: 'name' is missing", id="missing in a table"),
        pytest.param(
            'title = "t"\ntitel = "u"',
            "line 2: unknown key 'titel'; known are basic, color, item, named, title",
            id="unknown at the top",
        ),
        pytest.param(
            'title = "t"\n[basic]\nlvl = 1',
            "line 3: [basic]: unknown key 'lvl'; known are count, level, on, wait_s",
            id="unknown in a table",
        ),
        pytest.param(
            'title = "t"\n[[item]]\nname = "a"\n[[item]]\nname = "b"\nx = 1',
            "line 6: [[item]] 2: unknown key 'x'",
            id="unknown in the second of many",
        ),
        pytest.param(
            'title = "t"\n[named.n]\nnam = 1', "line 3: [named.n]: unknown key 'nam'", id="unknown in a named table"
        ),
        pytest.param("title = 1", "line 1: title is 1; write a string in quotes", id="no string"),
        pytest.param(
            'title = "t"\n[basic]\nwait_s = "x"', "line 3: [basic] wait_s is 'x'; write a number", id="no number"
        ),
        pytest.param(
            'title = "t"\nbasic.count = 1.5', "line 2: [basic] count is 1.5; write a whole number", id="no int"
        ),
        pytest.param('title = "t"\nbasic.on = 1', "line 2: [basic] on is 1; write true or false", id="no boolean"),
        pytest.param(
            'title = "t"\ncolor = "green"', 'line 2: color is \'green\'; write one of "red", "blue"', id="another word"
        ),
        pytest.param(
            'title = "t"\nbasic.level = "x"', '[basic] level is \'x\'; write one of "low", "high"', id="another literal"
        ),
        pytest.param(
            'title = "t"\n[[item]]\nname = "a"\ncolors = ["red", "x"]',
            "line 4: [[item]] 1: colors is ['red', 'x']; write a list, each item one of \"red\", \"blue\"",
            id="another word in a list",
        ),
        pytest.param(
            'title = "t"\n[[item]]\nname = "a"\ncommands = ["x"]',
            "commands is ['x']; write a list, each item a list, each item a string in quotes",
            id="a list that is not nested",
        ),
        pytest.param('title = "t"\nbasic = 3', "line 2: basic is 3; write a table", id="no table"),
        pytest.param('title = "t"\nnamed = 3', "line 2: named is 3; write a table", id="no named tables"),
        pytest.param('title = "t"\n[named]\nn = 3', "line 3: [named] n is 3; write a table", id="no named table"),
        pytest.param(
            'title = "t"\n[item]\nname = "a"',
            "item is a table; write a list, each item a table",
            id="one table instead of many",
        ),
    ],
)
def test_what_is_wrong_is_named(text, message):
    with pytest.raises(Invalid) as caught:
        decoded(text)
    assert str(caught.value).startswith("relocd.toml line ")
    assert message in str(caught.value)


def test_an_error_of_the_caller_goes_on_after_the_key():
    text = TomlText("m.toml", "a = 1\n[b]\nc = 2\n[[d]]\ne = 3\n")
    assert str(text.error(("a",), "is wrong")) == "m.toml line 1: a is wrong"
    assert str(text.error(("b", "c"), "is wrong")) == "m.toml line 3: [b] c is wrong"
    assert str(text.error(("d", 0, "e"), "is wrong")) == "m.toml line 5: [[d]] 1: e is wrong"
    assert str(text.error(("d", 0), "is wrong")) == "m.toml line 4: [[d]] 1: is wrong"
