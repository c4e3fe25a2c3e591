"""Adapters raise only relocd's errors, whatever their libraries, the system or a damaged file give them."""

from __future__ import annotations

import errno
import json
import struct
from random import Random

import pytest
from dbus_fast.errors import AuthError, DBusError, DBusFastError, InvalidAddressError, InvalidMessageError
from pyroute2.netlink.exceptions import NetlinkDecodeError, NetlinkDumpInterrupted, NetlinkError

from relocd.adapters.files import installation
from relocd.adapters.local.cache import FileCache
from relocd.adapters.local.ledger import JsonLedger
from relocd.adapters.local.run_folder import JsonStatusFile, sole
from relocd.adapters.net import arp_nd, frames, rtnetlink, rtnetlink_messages
from relocd.adapters.templates import set_folder
from relocd.adapters.templates.render_process import RenderProcess
from relocd.adapters.units import systemd_bus
from relocd.adapters.units.script_units import UnitRecords
from relocd.errors import Failed, Fatal, RelocdError, Unavailable
from relocd.model.host import UnitState
from relocd.reconcile.desired import Footprint
from relocd.reconcile.goals import GoalId
from tests.adapters.templates.set_writing import no_descriptors

SYSTEM = [OSError(number, errno.errorcode[number]) for number in sorted(errno.errorcode)] + [OSError("of no number")]
_BAD_MESSAGE = DBusError("org.freedesktop.DBus.Error.Whatever", "refused")
DBUS = [
    *SYSTEM,
    _BAD_MESSAGE,
    DBusFastError("x"),
    InvalidAddressError("x"),
    InvalidMessageError("x"),
    AuthError("x"),
    EOFError(),
    TimeoutError(),
    UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
    struct.error("x"),
    TypeError("x"),
    AttributeError("x"),
]
NETLINK = [*SYSTEM, NetlinkError(1, "x"), NetlinkDumpInterrupted(), NetlinkDecodeError(ValueError("x")), TimeoutError()]


@pytest.mark.parametrize(
    ("translated", "errors"),
    [
        pytest.param(set_folder.translated, SYSTEM, id="template sets"),
        pytest.param(installation.translated, SYSTEM, id="files"),
        pytest.param(arp_nd.translated, SYSTEM, id="wire"),
        pytest.param(systemd_bus.translated, DBUS, id="D-Bus"),
        pytest.param(rtnetlink.translated, NETLINK, id="netlink"),
    ],
)
def test_every_error_of_a_library_becomes_one_of_relocd(translated, errors):
    for error in errors:
        with pytest.raises(RelocdError) as caught, translated("what was done"):
            raise error
        assert "what was done" in str(caught.value)
        assert str(caught.value).isprintable(), error


def test_odd_datagrams_and_frames_are_left_out():
    random = Random(1)  # noqa: S311 - not for secrets
    for _ in range(3000):
        body = random.randbytes(random.randrange(200))
        kind = random.choice((2, 3, 16, 17, 20, 21))
        head = struct.pack("=IHHII", random.choice((16 + len(body), len(body), 0, 2**32 - 1)), kind, 0, 1, 0)
        list(rtnetlink_messages.read(head + body))
        frames.claim(body)


_FOOTPRINT = json.dumps({"id": "a", "name": "a", "role": None})
DAMAGED = [
    b"",
    b"\xff",
    b"[" * 100_000,
    b"{}",
    b"[]",
    b"null",
    b'{"id": []}',
    b'{"id": "a", "name": "a", "role": "king"}',
    _FOOTPRINT.encode(),
    b'{"id": "a", "name": 1, "role": null, "files": 5}',
    b"1" * 5000,
]


class TestLedger:
    @pytest.mark.parametrize("content", DAMAGED, ids=lambda content: repr(content[:30]))
    async def test_a_damaged_file_is_set_aside_and_the_others_are_read(self, tmp_path, content):
        good = GoalId("good")
        await JsonLedger(tmp_path).save(good, Footprint("good"))
        (tmp_path / "bad.json").write_bytes(content)
        assert JsonLedger(tmp_path).all() == {good: Footprint("good")}
        assert (tmp_path / "bad.damaged").exists()

    @pytest.mark.parametrize("spoil", [lambda path: path.mkdir(), lambda path: path.symlink_to(path.name)])
    def test_what_is_no_file_is_set_aside(self, tmp_path, spoil):
        spoil(tmp_path / "bad.json")
        assert JsonLedger(tmp_path).all() == {}

    async def test_while_descriptors_are_short_nothing_is_set_aside(self, tmp_path):
        good = GoalId("good")
        await JsonLedger(tmp_path).save(good, Footprint("good"))
        with no_descriptors(), pytest.raises(Unavailable):
            JsonLedger(tmp_path).all()
        assert JsonLedger(tmp_path).all() == {good: Footprint("good")}


@pytest.mark.parametrize("content", DAMAGED, ids=lambda content: repr(content[:30]))
def test_a_damaged_cache_is_dropped(tmp_path, content):
    (tmp_path / "cache").write_bytes(content)
    assert FileCache(tmp_path / "cache", ("base",)).load() is None


class TestShortOfDescriptors:
    async def test_each_adapter_says_so(self, tmp_path):
        with no_descriptors():
            with pytest.raises(Failed, match="cannot start the process"):
                await RenderProcess.started()
            with pytest.raises(Fatal), sole(tmp_path):
                pass
            with pytest.raises(Failed):
                UnitRecords(tmp_path).begin("a")
            assert await JsonStatusFile(tmp_path / "status.json").write({}) is False

    def test_a_record_that_is_a_folder_is_named(self, tmp_path):
        (tmp_path / "a").mkdir()
        records = UnitRecords(tmp_path)
        for use in (records.state, records.begin, lambda name: records.end(name, UnitState.INACTIVE)):
            with pytest.raises(Failed, match=str(tmp_path / "a")):
                use("a")
        assert records.state("b") is UnitState.INACTIVE
