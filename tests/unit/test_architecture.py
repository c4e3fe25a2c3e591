"""docs/architecture.md names only files, classes and functions that there are, and a class name says which it is."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
PAGE = TREE / "docs" / "architecture.md"
_CODE = re.compile(r"`([^`]+)`")
_MODULE = re.compile(r"\]\((\.\./src/[^)#]+\.py)\)")
_NAME = re.compile(r"(?!reloc|\w+\.py$)_?[A-Za-z]\w*(\.\w+)?")
_STEPS = TREE / "src/relocd/election/steps.py"


@cache
def defined(module: Path) -> frozenset[str]:
    """Classes with their members, functions and constants of a module."""
    return frozenset(_names(ast.parse(module.read_text()).body))


def _names(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in body:
        match node:
            case ast.ClassDef(name=name, body=inside):
                yield f"{prefix}{name}"
                yield from _names(inside, f"{name}.")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield f"{prefix}{name}"
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield f"{prefix}{name}"
            case ast.Assign(targets=[ast.Name(id=name)]):
                yield f"{prefix}{name}"


def parts(text: str) -> list[str]:
    """Table rows and paragraphs without blocks: what one sentence names is in one of them."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return [part for part in re.split(r"\n\n|\n(?=\||- |\d+\. )", prose) if part.strip()]


def undefined(text: str) -> list[str]:
    """The names in the parts that link to modules which none of these modules, nor the steps, defines."""
    found = []
    for part in parts(text):
        modules = [(PAGE.parent / each).resolve() for each in _MODULE.findall(part)]
        known = {name for module in (*modules, _STEPS) if module.is_file() for name in defined(module)}
        known |= {name.partition(".")[2] for name in known}
        named = [each for each in _CODE.findall(part) if _NAME.fullmatch(each)]
        found += [name for name in named if modules and name not in known and not (TREE / name).exists()]
    return found


def classes(module: Path) -> Iterator[str]:
    """Public classes and aliases of types of a module, without what is in a class."""
    for node in ast.parse(module.read_text()).body:
        match node:
            case ast.ClassDef(name=name) if not name.startswith("_"):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]) if re.fullmatch(r"[A-Z]\w*[a-z]\w*", name):
                yield name


def missing(text: str) -> list[str]:
    """The linked modules, and the paths in code, that are not there."""
    links = [each for each in _MODULE.findall(text) if not (PAGE.parent / each).is_file()]
    paths = [each for each in _CODE.findall(text) if re.fullmatch(r"[\w./-]+(/|\.py)", each)]
    places = (TREE, TREE / "src" / "relocd")
    return [*links, *(path for path in paths if "NAME" not in path and not any((at / path).exists() for at in places))]


def test_every_file_that_the_page_names_is_there() -> None:
    assert missing(PAGE.read_text()) == []


def test_every_name_in_the_page_is_defined_in_a_module_beside_it() -> None:
    assert undefined(PAGE.read_text()) == []


@pytest.mark.parametrize("journey", [1, 2, 3])
def test_a_journey_has_ten_stops_with_a_module_each(journey: int) -> None:
    section = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    (text,) = [each for each in section if each.startswith(f"Journey {journey}:")]
    stops = re.findall(r"^\| (\d+)\. .*$", text, re.MULTILINE)
    rows = [row for row in text.splitlines() if re.match(r"\| \d+\. ", row)]
    assert [int(stop) for stop in stops] == list(range(1, 11))
    assert all(_MODULE.search(row) for row in rows)


def test_a_wrong_name_and_a_wrong_file_are_found() -> None:
    link = "[`sync/mirror.py`](../src/relocd/sync/mirror.py)"
    gone = "[`sync/gone.py`](../src/relocd/sync/gone.py)"
    assert undefined(f"| {link} `Mirror.apply`, `Mirror.gone`, `Nothing` |") == ["Mirror.gone", "Nothing"]
    assert missing(f"{link} {gone}") == ["../src/relocd/sync/gone.py", "sync/gone.py"]


def test_a_public_name_stands_for_one_class_in_all_modules() -> None:
    modules = sorted((TREE / "src").rglob("*.py"))
    counted = Counter(name for module in modules for name in classes(module))
    assert "Mirror" in counted
    assert "Step" in counted
    assert [name for name, count in counted.items() if count > 1] == []
