"""The connection to systemd where the order of messages is forced: a peer on a bus of its own speaks for systemd."""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import asynccontextmanager

import pytest
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, AuthTimeoutError, DBusError, DBusFastError, InvalidAddressError

from relocd.adapters.units.systemd import SystemdUnits
from relocd.adapters.units.systemd_bus import MANAGER, translated
from relocd.errors import Failed, Invalid, RelocdError, Unavailable
from relocd.model.settings import UnitSettings
from tests.lab.deadline import eventually

NAME = "web.service"
JOB = f"{MANAGER.path}/job/1"


@pytest.fixture
def bus_address(tmp_path):
    """A bus without systemd on it."""
    address = f"unix:path={tmp_path}/bus"
    command = ("dbus-daemon", "--session", "--nofork", "--print-address", f"--address={address}")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as daemon:
        daemon.stdout.readline()
        yield address
        daemon.terminate()


@pytest.fixture
async def units(bus_address):
    async with SystemdUnits(UnitSettings(timeout_s=5.0), bus_address) as opened:
        yield opened


@asynccontextmanager
async def connected(address):
    bus = await MessageBus(bus_address=address).connect()
    try:
        yield bus
    finally:
        bus.disconnect()
        await bus.wait_for_disconnect()


def job_removed(result, destination=None):
    message = Message.new_signal(MANAGER.path, MANAGER.interface, "JobRemoved", "uoss", [1, JOB, NAME, result])
    message.destination = destination
    return message


class Manager:
    """Systemd's part of the conversation; `result` is sent before the reply that says the job's name, None not yet."""

    def __init__(self, bus, result):
        self.bus = bus
        self.client = None
        self._result = result
        bus.add_message_handler(self._receive)

    def _receive(self, message):
        match message.message_type, message.member:
            case MessageType.METHOD_CALL, "LoadUnit":
                return Message.new_method_return(message, "o", [f"{MANAGER.path}/unit/web_2eservice"])
            case MessageType.METHOD_CALL, "StopUnit":
                self.client = message.sender
                if self._result:
                    self.bus.send(job_removed(self._result))
                return Message.new_method_return(message, "o", [JOB])
            case MessageType.METHOD_CALL, "Get":
                return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownProperty", "none")
            case MessageType.METHOD_CALL, _:
                return Message.new_method_return(message)
        return None


@pytest.fixture
async def manager(bus_address, request):
    async with connected(bus_address) as bus:
        made = Manager(bus, request.param)
        await bus.request_name("org.freedesktop.systemd1")
        yield made


class TestOrder:
    @pytest.mark.usefixtures("manager")
    @pytest.mark.parametrize("manager", ["done"], indirect=True)
    async def test_a_result_before_the_reply_is_not_lost(self, units):
        await units.stop(NAME)

    @pytest.mark.usefixtures("manager")
    @pytest.mark.parametrize("manager", ["novel"], indirect=True)
    async def test_a_result_that_is_not_known_is_passed_on(self, units):
        with pytest.raises(Failed, match=r"^web\.service was not stopped: systemd says novel; see journalctl -u web"):
            await units.stop(NAME)

    @pytest.mark.parametrize("manager", [None], indirect=True)
    async def test_a_forged_signal_counts_for_nothing(self, manager, units, bus_address):
        """Any local user can send one to the agent's own address on the bus."""
        stopping = asyncio.create_task(units.stop(NAME))
        await eventually(lambda: manager.client)
        async with connected(bus_address) as forger:
            await forger.send(job_removed("failed", manager.client))
            await forger.introspect("org.freedesktop.DBus", "/org/freedesktop/DBus")
        await manager.bus.send(job_removed("done"))  # arrives after the forged one, and decides
        await stopping

    @pytest.mark.parametrize("manager", [None], indirect=True)
    async def test_a_closed_connection_ends_the_waiting(self, manager, units):
        stopping = asyncio.create_task(units.stop(NAME))
        await eventually(lambda: manager.client)
        await units.close()
        with pytest.raises(Unavailable, match=r"^web\.service: systemd continues the job"):
            await stopping


async def test_a_bus_without_systemd(units):
    with pytest.raises(Unavailable, match='on a host without systemd set manager = "script" under'):
        await units.state(NAME)


def local_errors():
    """Every error that dbus-fast has of its own, made from what its constructor wants."""
    found = [DBusFastError]
    for kind in found:
        found += kind.__subclasses__()
    return [kind("of") for kind in found if kind is not DBusError]


class TestTranslation:
    @pytest.mark.parametrize("error", local_errors(), ids=lambda error: type(error).__name__)
    def test_every_error_of_the_library_becomes_ours(self, error):
        with pytest.raises(RelocdError, match=r"^web\.service: ") as raised, translated("web.service"):
            raise error
        assert raised.value.__cause__ is error

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (EOFError(), Unavailable),
            (ConnectionRefusedError(111, "Connection refused"), Unavailable),
            (TimeoutError(), Unavailable),
            (AuthError("REJECTED"), Unavailable),
            (AuthTimeoutError("late"), Unavailable),
            (InvalidAddressError("no transport"), Invalid),
        ],
        ids=lambda value: getattr(value, "__name__", type(value).__name__),
    )
    def test_errors_of_the_connection(self, error, kind):
        with pytest.raises(kind, match=r"^systemd: "), translated("systemd"):
            raise error

    @pytest.mark.parametrize(
        ("name", "kind", "message"),
        [
            ("org.freedesktop.DBus.Error.ServiceUnknown", Unavailable, 'x: text; .*manager = "script"'),
            ("org.freedesktop.DBus.Error.NoReply", Unavailable, "x: text$"),
            ("org.freedesktop.DBus.Error.AccessDenied", Failed, "run the agent as root"),
            ("org.freedesktop.DBus.Error.InvalidArgs", Invalid, "in full"),
            ("org.freedesktop.systemd1.NoSuchUnit", Failed, "install it"),
            ("org.freedesktop.systemd1.LoadFailed", Failed, "x: text$"),
            ("org.example.Novel", Failed, "x: text$"),
        ],
    )
    def test_errors_that_systemd_answers(self, name, kind, message):
        with pytest.raises(kind, match=message), translated("x"):
            raise DBusError(name, "text.")

    def test_other_errors_pass(self):
        with pytest.raises(KeyError), translated("x"):
            raise KeyError
