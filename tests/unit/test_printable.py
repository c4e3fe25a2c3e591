"""Foreign text never does anything to a terminal, a log line, LDIF or a label, wherever it comes from."""

from __future__ import annotations

import io
import json
import logging
import math
from base64 import b64decode
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import RenderableType
from rich.table import Table

from relocd.agent.logs import Said
from relocd.cli.output import Screen, print_json
from relocd.errors import Failed
from relocd.model.dn import DN
from relocd.model.entries import Entry, csn_time_s
from relocd.model.ldif import attribute, remark
from relocd.openldap.changes import AddEntry
from relocd.openldap.changes import ldif as slapd_ldif
from relocd.operator.change import changes
from relocd.operator.explain.explain import explanation
from relocd.operator.explain.text import as_json as explained_json
from relocd.operator.explain.text import as_text
from relocd.operator.service_view import service_view
from relocd.operator.status.show import overview, overview_json, show_overview
from relocd.operator.status.tables import as_json, check_line, tables
from relocd.operator.status.view import view
from relocd.printable import one_line, several_lines
from tests.support import entries

HOSTILE = "[/x]\x1b]0;t\x07\x1b[31m\r\n\u202e\u2066\x9b2J\u2028\u200b\ufeff:smile:"
NAME = "web" + HOSTILE
START = csn_time_s(entries.csn(0)) or 0.0
texts = st.text(st.characters(), max_size=30) | st.sampled_from([HOSTILE, "\udcff", "\0"])


def renamed(found: Entry, name: str) -> Entry:
    """The entry under another name."""
    return replace(found, dn=DN.parse(f"cn={name},{entries.BASE}"))


def directory() -> list[Entry]:
    """A server and a service that are called and say what they should not."""
    name = NAME.replace(";", "\\;")
    link = f"cn={name},{entries.BASE}"
    service = renamed(entries.service("web", relocAddress="192.0.2.10/24"), name)
    server = renamed(entries.server("a", relocServiceLink=[link, entries.dn("gone")]), "a" + name)
    said = {"relocProblem": [f"{one_line(NAME)}: {HOSTILE}", HOSTILE], "relocAgentVersion": HOSTILE}
    status = entries.status("a", relocMode=HOSTILE, relocActiveService=link, relocLease="1e999", **said)
    status = replace(status, dn=server.dn.below("cn=status"))
    state = entries.state("web", generation=None)
    held = {**state.attributes, "relocholder": (server.dn.text.encode(),), "relocgeneration": (b"1",)}
    state = replace(state, dn=service.dn.below("cn=state"), attributes=held)
    broken = renamed(entries.service("broken", relocAddress=HOSTILE), "broken" + name)
    return [service, server, status, state, broken]


def printed(*shown: RenderableType) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        Screen().print(*shown)
    return out.getvalue()


def harmless(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@given(texts)
def test_a_line_is_printable_and_printable_text_is_not_changed(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert one_line(line) == line
    line.encode()
    assert (line == text) is text.isprintable()
    assert several_lines(f"{text}\n\t") == f"{several_lines(text)}\n\t"


def explained() -> RenderableType:
    found = directory()
    return as_text(explanation(service_view(found[0].dn, found, START + 1)))


@pytest.mark.parametrize("width", ["1", "80", "2000"])
@pytest.mark.parametrize("shown", [lambda: tables(view(directory(), START + 1)), explained], ids=["status", "explain"])
def test_no_table_or_text_lets_anything_through(
    monkeypatch: pytest.MonkeyPatch, shown: Callable[[], RenderableType], width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    text = printed(shown())
    assert harmless(text)
    assert width != "2000" or one_line(NAME) in text


def test_show_lets_nothing_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "2000")
    out = io.StringIO()
    with redirect_stdout(out):
        show_overview(Screen(), overview(directory()[:2]))
    assert harmless(out.getvalue())
    assert one_line(NAME) in out.getvalue()


def test_the_screen_itself_lets_nothing_through() -> None:
    table = Table(HOSTILE)
    table.add_row(HOSTILE)
    assert harmless(printed(table, HOSTILE))


def test_the_line_of_a_plugin_lets_nothing_through() -> None:
    assert harmless(check_line(view(directory(), START + 1)))


def test_json_is_json_whatever_is_in_the_directory(capsys: pytest.CaptureFixture[str]) -> None:
    found = directory()
    for value in (
        as_json(view(found, START + 1)),
        explained_json(explanation(service_view(found[0].dn, found, START + 1))),
        overview_json(overview(found)),
    ):
        print_json(value)
        assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == value


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_number_that_json_has_not_is_never_printed(number: float, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"lease": [number]})
    assert capsys.readouterr().out == ""


@given(texts)
def test_an_error_is_one_printable_line(text: str) -> None:
    assert str(Failed(f"it says {text}")).isprintable()


@given(texts)
def test_a_log_line_and_its_traceback_let_nothing_through(text: str) -> None:
    info = LookupError, LookupError(text), None
    record = logging.LogRecord("x", logging.INFO, "x", 1, text.replace("%", ""), None, info)
    record.fields = {"problem": text}
    assert harmless(Said().format(record).replace("\t", ""))


@given(texts)
def test_a_remark_in_ldif_is_one_line(text: str) -> None:
    assert remark(text).isprintable()
    assert remark(text).startswith("# ")


@given(st.binary(max_size=8))
def test_ldif_of_a_value_is_printable_and_means_that_value(value: bytes) -> None:
    name, _, rest = attribute("x", value).partition(":")
    assert (name, rest.isprintable()) == ("x", True)
    assert (b64decode(rest[2:]) if rest.startswith(": ") else rest[1:].encode()) == value


def test_a_remark_about_a_service_with_a_line_break_deletes_nothing() -> None:
    evil = DN.parse(
        f"cn=svc\\0Adn: {entries.dn('victim')}\\0Achangetype: delete\\0A,{entries.BASE}".replace(
            "=victim,", "\\3Dvictim\\2C"
        )
    )
    server = entries.understood(entries.server("a", relocServiceLink=evil.text))
    order = changes.link(server, [evil])  # type: ignore[arg-type]
    assert [remark(each).splitlines() for each in order.already] == [[remark(order.already[0])]]
    assert "\n" not in evil.name
    assert slapd_ldif([AddEntry("cn=x", {}, "why\ndn: cn=victim")]).splitlines()[0] == "# why\\ndn: cn=victim"
