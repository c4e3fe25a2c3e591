"""The journal: records as it gets them on a real socket, a real journald, and one that is hung or not there."""

from __future__ import annotations

import ast
import logging
import os
import re
import select
import socket
import struct
from functools import cache
from pathlib import Path

import pytest

import relocd
from relocd.adapters.local.journal import MESSAGE_IDS, JournalHandler, is_journal
from relocd.agent.logs import Said, stream_handler
from relocd.printable import several_lines
from tests.lab.hosts.journal import Journal

PACKAGE = Path(relocd.__file__).parent
README = Path(__file__).parents[3] / "monitoring" / "README.md"


class Receiver:
    """A datagram socket that understands the native protocol."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(5)
        self.by_descriptor = False

    def next(self) -> dict[str, str]:
        """The fields of the next record."""
        data, descriptors, *_ = socket.recv_fds(self._socket, 1 << 20, 1)
        self.by_descriptor = bool(descriptors)
        for descriptor in descriptors:
            data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
            os.close(descriptor)
        return parsed(data)

    def waiting(self) -> list[dict[str, str]]:
        """What has been sent so far and not been read."""
        found = []
        while select.select([self._socket], [], [], 0)[0]:
            found.append(self.next())
        return found

    def close(self) -> None:
        self._socket.close()


def parsed(data: bytes) -> dict[str, str]:
    """The fields of one message: `KEY=value`, or KEY, the length in 64 bits, and the value."""
    fields: dict[str, str] = {}
    while data:
        line, _, rest = data.partition(b"\n")
        key, plain, value = line.partition(b"=")
        if not plain:
            (length,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + length], rest[8 + length :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        assert key.decode() not in fields
        fields[key.decode()] = value.decode()
        data = rest
    return fields


@pytest.fixture
def receiver(tmp_path):
    receiver = Receiver(tmp_path / "socket")
    yield receiver
    receiver.close()


@pytest.fixture
def log_to(capsys):
    """A logger that writes to the journal at a path."""
    log = logging.getLogger("relocd.test_journal")
    log.setLevel("DEBUG")
    log.propagate = False

    def begin(path: str) -> logging.Logger:
        handler = JournalHandler(stream_handler("text"), path)
        handler.setFormatter(Said())
        log.addHandler(handler)
        return log

    yield begin
    for handler in log.handlers[:]:
        log.removeHandler(handler)
        handler.close()


def test_facts_are_fields_and_the_message_can_be_read(receiver, log_to):
    facts = {"service": "web", "generation": 3, "step": None}
    log_to(receiver.path).info("handover", extra={"fields": facts})
    found = receiver.next()
    assert found.pop("CODE_FILE") == __file__
    assert found.pop("CODE_LINE").isdecimal()
    assert found == {
        "MESSAGE": "handover service=web generation=3 step=None",
        "MESSAGE_ID": MESSAGE_IDS["handover"],
        "RELOCD_EVENT": "handover",
        "RELOCD_SERVICE": "web",
        "RELOCD_GENERATION": "3",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "relocd",
        "LOGGER": "relocd.test_journal",
        "CODE_FUNC": "test_facts_are_fields_and_the_message_can_be_read",
    }


@pytest.mark.parametrize("value", ["a\nb", "a\nPRIORITY=0\n", "ends\n", "=", "", "ä€", "\x00", "\udcff"], ids=ascii)
def test_whatever_a_value_holds_it_stays_one_field(receiver, log_to, value):
    log_to(receiver.path).warning("action failed", extra={"fields": {"problem": value}})
    found = receiver.next()
    assert found["RELOCD_PROBLEM"] == several_lines(value)
    assert found["PRIORITY"] == "4"


def test_a_record_too_long_for_the_socket_comes_as_a_sealed_file(receiver, log_to):
    log_to(receiver.path).error("x", extra={"fields": {"problem": "y" * 1_000_000}})
    found = receiver.next()
    assert receiver.by_descriptor
    assert (found["RELOCD_PROBLEM"], found["PRIORITY"]) == ("y" * 1_000_000, "3")


def test_a_traceback_is_in_the_message(receiver, log_to):
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        log_to(receiver.path).exception("this is a defect of relocd")
    assert receiver.next()["MESSAGE"].startswith("this is a defect of relocd\nTraceback ")


def test_a_hung_journal_is_not_waited_for_and_what_it_missed_is_told(receiver, log_to):
    log = log_to(receiver.path)
    for number in range(2000):
        log.info("x", extra={"fields": {"number": number}})
    taken = [found["RELOCD_NUMBER"] for found in receiver.waiting()]
    assert taken == [str(number) for number in range(len(taken))]
    log.info("again")
    again, told = receiver.waiting()
    assert (again["MESSAGE"], told["RELOCD_COUNT"]) == ("again", str(2000 - len(taken)))
    assert told["MESSAGE"].startswith("records were lost, the journal took none count=")


def test_without_a_journal_standard_error_has_it_and_a_new_journal_is_found(tmp_path, log_to, capsys):
    path = tmp_path / "socket"
    log = log_to(str(path))
    log.info("x", extra={"fields": {"service": "web"}})
    assert capsys.readouterr().err.endswith(" info x service=web\n")
    for _ in range(2):
        receiver = Receiver(path)
        log.info("y")
        assert receiver.next()["MESSAGE"] == "y"
        receiver.close()
        path.unlink()


def test_a_real_journald_stores_it_all(tmp_path, log_to):
    with Journal(tmp_path / "systemd", tmp_path / "logs") as journal:
        log = log_to(str(journal.socket))
        log.info("handover", extra={"fields": {"service": "web", "reason": "a\nb"}})
        log.warning("action failed", extra={"fields": {"service": "web", "problem": "y" * 1_000_000}})
        found = journal.wait_for(MESSAGE_ID=MESSAGE_IDS["handover"])
        assert (found["RELOCD_SERVICE"], found["RELOCD_REASON"], found["PRIORITY"]) == ("web", "a\nb", "6")
        assert found["_TRANSPORT"] == "journal"
        large = journal.wait_for(MESSAGE_ID=MESSAGE_IDS["action failed"])
        assert large["RELOCD_PROBLEM"] == "y" * 1_000_000


def test_the_stream_to_the_journal_is_known_by_its_number(tmp_path):
    with (tmp_path / "a").open("wb") as one, (tmp_path / "b").open("wb") as other:
        status = os.fstat(one.fileno())
        named = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert is_journal(one.fileno(), named)
        assert not is_journal(other.fileno(), named)
        assert not is_journal(one.fileno(), {})
        assert not is_journal(one.fileno(), {"JOURNAL_STREAM": "nonsense"})


@cache
def calls() -> list[ast.Call]:
    """Every call of a logger in the package."""
    trees = [ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        node
        for node in nodes
        if isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "_log"
    ]


def message(call: ast.Call) -> ast.expr:
    return call.args[1 if call.func.attr == "log" else 0]


def test_every_message_is_constant_and_its_facts_are_fields():
    assert len(calls()) > 40
    for call in calls():
        assert isinstance(message(call), ast.Constant), ast.unparse(call)
        assert len(call.args) == (2 if call.func.attr == "log" else 1), ast.unparse(call)
        for keyword in call.keywords:
            is_traceback = keyword.arg == "exc_info"
            assert is_traceback or ast.unparse(keyword).startswith("extra={'fields': "), ast.unparse(call)


def test_every_message_id_is_told_and_of_a_message_that_there_is():
    assert MESSAGE_IDS.keys() <= {message(call).value for call in calls()}
    assert len(set(MESSAGE_IDS.values())) == len(MESSAGE_IDS)
    told = dict(re.findall(r"^\| (.+) \| `(\w{32})` \|$", README.read_text(), re.MULTILINE))
    assert told == MESSAGE_IDS
    assert all(len(bytes.fromhex(value)) == 16 for value in MESSAGE_IDS.values())
