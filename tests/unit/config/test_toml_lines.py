"""Lines of keys in a TOML text, whatever stands around them."""

from __future__ import annotations

import tomllib

import pytest

from relocd.config.toml_lines import line_of

TEXT = '''\
# a comment with [[brackets]] and a = sign
top = 1
dotted.name = 2

[agent]                       # 5
settle_ms = 100.0
"quoted key" = 'a [b] # c'
list = [
    "one", # ] a bracket in a comment
    "[two",
]
after = true                  # 12

[[file]]
source = "a.j2"
text = """
[agent]
not_a_key = 1
"""
checks = [["a"], ["b", "c"]]  # 20

[[file]]
source = "b.j2"
inline = { mode = "0640", more = { deep = 1 } }

  [file.extra]                # 26
  note = 1

[[file]]
source = 'c.j2'

[units.script.'web 1']        # 32
start = ["x"]
literal = \'\'\'
x = 1
\'\'\'
last = "a \\" b" # c = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        pytest.param(("top",), 2, id="a key at the top"),
        pytest.param(("dotted", "name"), 3, id="a dotted key"),
        pytest.param(("dotted",), 3, id="the table that a dotted key implies"),
        pytest.param(("agent",), 5, id="a table"),
        pytest.param(("agent", "settle_ms"), 6, id="a key in a table"),
        pytest.param(("agent", "quoted key"), 7, id="a quoted key"),
        pytest.param(("agent", "after"), 12, id="a key behind a list over several lines"),
        pytest.param(("agent", "missing"), 5, id="a missing key stands where its table does"),
        pytest.param(("file",), 14, id="an array of tables begins with its first"),
        pytest.param(("file", 0, "source"), 15, id="a key in the first of many tables"),
        pytest.param(("file", 0, "checks"), 20, id="a key behind a text over several lines"),
        pytest.param(("file", 0, "checks", 1, 0), 20, id="an item has the line of its key"),
        pytest.param(("file", 1), 22, id="the second of many tables"),
        pytest.param(("file", 1, "inline", "more", "deep"), 24, id="a key in an inline table"),
        pytest.param(("file", 1, "extra", "note"), 27, id="a table inside the latest of many"),
        pytest.param(("file", 2, "source"), 30, id="the last of many"),
        pytest.param(("units", "script"), 32, id="a table that is only implied"),
        pytest.param(("units", "script", "web 1", "start"), 33, id="a quoted table"),
        pytest.param(("units", "script", "web 1", "last"), 37, id="escaped quotes"),
        pytest.param(("nowhere", "x"), 1, id="nothing of it there"),
    ],
)
def test_line_of_a_path(path, line):
    tomllib.loads(TEXT)
    assert line_of(TEXT, path) == line
