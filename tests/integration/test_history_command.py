"""`relocd history` and what `relocd status` says of it, on a real slapd, as an identity that may only read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relocd.model.history import Happened, HistoryRecord, encoded
from tests.integration.acl_lab import account_ldif
from tests.integration.orders_lab import READER, RULES, access, environment, password_file
from tests.lab.slapd.ldif import record, server_dn, state_ldif, status_ldif
from tests.lab.slapd.slapd import Slapd, base_ldif, server_ldif, service_dn, service_ldif

RELOCD = str(Path(sys.executable).with_name("relocd"))
NOW = datetime.now(UTC).replace(microsecond=0)
NODE1, NODE2, ANNA = server_dn("node1"), server_dn("node2"), "cn=anna,ou=people,dc=example,dc=org"
OLD = HistoryRecord(NOW - timedelta(days=9), Happened.SERVED, NODE1, 2, "", NODE1, "R1", "node1 linked", ANNA, 3.0)
MOVE = HistoryRecord(NOW - timedelta(hours=1), Happened.SERVED, NODE2, 3, NODE1, NODE2, "R3", "node2 linked", ANNA, 4.2)
MAIL = HistoryRecord(NOW - timedelta(hours=2), Happened.REFUSED, NODE1, 1, reason="no interface fits", by=NODE1)


def history_ldif(service: str, *records: HistoryRecord) -> str:
    values = [encoded(each) for each in records]
    content = {"objectClass": "relocServiceHistory", "relocHistoryRecord": values, "relocLastChange": values[0]}
    return record(f"cn=history,{service_dn(service)}", content)


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    services = [
        service_ldif(name, addresses=[f"192.0.2.{at}/24"]) for at, name in enumerate(("web", "mail", "new"), 10)
    ]
    content = [
        base_ldif(),
        account_ldif(READER),
        *services,
        server_ldif("node1"),
        server_ldif("node2", services=["web"]),
    ]
    content += [state_ldif("web", "node2"), status_ldif("node2", Active=["web"])]
    content += [history_ldif("web", MOVE, OLD), history_ldif("mail", MAIL)]
    with Slapd(content="".join(content), database_lines=RULES, durable=False) as slapd:
        yield slapd


@pytest.fixture
def own(slapd: Slapd, tmp_path: Path) -> Mapping[str, str]:
    password_file(tmp_path)
    return os.environ | environment(access(tmp_path, slapd.uri, who=READER, patience_s=2)) | {"COLUMNS": "80"}


def relocd(own: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([RELOCD, *arguments], env=own, capture_output=True, text=True, timeout=30, check=False)


def events(own: Mapping[str, str], *arguments: str) -> list[tuple[str, int]]:
    done = relocd(own, "history", "--json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return [(each["service"], each["generation"]) for each in json.loads(done.stdout)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), [("web", 2), ("mail", 1), ("web", 3)]),
        (("web",), [("web", 2), ("web", 3)]),
        (("new",), []),
        (("node1",), [("web", 2), ("mail", 1), ("web", 3)]),
        ((NODE2,), [("web", 3)]),
        (("--since", "2d"), [("mail", 1), ("web", 3)]),
        (("web", "--since", "90min"), [("web", 3)]),
        (("--since", f"{NOW - timedelta(minutes=90):%Y-%m-%d %H:%M}"), [("web", 3)]),
    ],
)
def test_what_is_asked_for_is_shown_the_newest_last(own, arguments, expected) -> None:
    assert events(own, *arguments) == expected


def test_it_is_read_by_people(own) -> None:
    lines = relocd(own, "history", "web").stdout.splitlines()
    assert lines[-2].endswith("Z  web 3: node1 -> node2, serves after 4 ms")
    assert lines[-1] == "    by anna: node2 linked (R3)"


@pytest.mark.parametrize(("arguments", "code"), [(("nosuch",), 2), (("--since", "yesterday"), 2)])
def test_what_is_wrong_is_one_line(own, arguments, code) -> None:
    done = relocd(own, "history", *arguments)
    assert done.returncode == code
    assert done.stderr.splitlines()[-1].startswith("relocd: ")


def test_following_shows_each_new_record_once(own, slapd) -> None:
    arguments = [RELOCD, "history", "--follow", "--json"]
    with subprocess.Popen(arguments, env=own, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            seen = [json.loads(process.stdout.readline())["generation"] for _ in range(3)]
            later = HistoryRecord(NOW, Happened.FAILED, NODE1, 7, NODE2, NODE1, reason="exit code 1", by=ANNA)
            change = f"changetype: modify\nadd: relocHistoryRecord\nrelocHistoryRecord: {encoded(later)}\n"
            slapd.modify(f"dn: cn=history,{service_dn('mail')}\n{change}")
            seen.append(json.loads(process.stdout.readline())["generation"])
            assert seen == [2, 1, 3, 7]
        finally:
            process.terminate()


def test_status_says_since_when_and_by_whom(own) -> None:
    services = {each["name"]: each for each in json.loads(relocd(own, "status", "--json").stdout)["services"]}
    assert datetime.fromisoformat(services["web"]["since"]) == MOVE.at
    assert services["web"]["by"] == ANNA
    assert services["mail"]["since"] is None
    assert f"since {MOVE.at:%Y-%m-%d}" in relocd({**own, "COLUMNS": "120"}, "status").stdout
