"""One D-Bus connection to systemd: calls, signals of systemd, and notice of its end.

A connection is lost once and for good; `relocd.adapters.units.systemd` opens the next. It is given up as well when
systemd leaves the bus (`daemon-reexec`), since the results of its jobs may be lost with it. Signals count only when
they come from the connection that owns systemd's name: any local user may send a forged one.

The errors of dbus-fast end in `translated`.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusError, DBusFastError, InvalidAddressError, InvalidMessageError

from relocd.errors import Failed, Invalid, RelocdError, Unavailable

__all__ = ["MANAGER", "Remote", "SystemdBus", "translated", "unit"]

_SYSTEMD: Final = "org.freedesktop.systemd1"
_DBUS: Final = "org.freedesktop.DBus"


@dataclass(frozen=True, slots=True)
class Remote:
    """An interface of an object of the owner of a name on the bus."""

    owner: str
    path: str
    interface: str


MANAGER: Final = Remote(_SYSTEMD, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
_BUS: Final = Remote(_DBUS, "/org/freedesktop/DBus", _DBUS)


def unit(path: str, kind: str = "Unit") -> Remote:
    """A unit by its object path: the interface of all units, or that of its kind (Service, Socket)."""
    return Remote(_SYSTEMD, path, f"{_SYSTEMD}.{kind}")


_NO_SYSTEMD: Final = 'on a host without systemd set manager = "script" under [units]'
_NOT_ALLOWED: Final = "run the agent as root, or let it manage units by polkit"
# D-Bus error names without their common prefix: the error for the caller, and the advice.
_ERRORS: Final[Mapping[str, tuple[type[RelocdError], str]]] = {
    "DBus.Error.ServiceUnknown": (Unavailable, _NO_SYSTEMD),
    "DBus.Error.NameHasNoOwner": (Unavailable, _NO_SYSTEMD),
    "DBus.Error.NoReply": (Unavailable, ""),
    "DBus.Error.Timeout": (Unavailable, ""),
    "DBus.Error.TimedOut": (Unavailable, ""),
    "DBus.Error.Disconnected": (Unavailable, ""),
    "DBus.Error.NoServer": (Unavailable, ""),
    "DBus.Error.AccessDenied": (Failed, _NOT_ALLOWED),
    "DBus.Error.InteractiveAuthorizationRequired": (Failed, _NOT_ALLOWED),
    "DBus.Error.InvalidArgs": (Invalid, "write the unit's name in full, as in nginx.service"),
    "systemd1.NoSuchUnit": (Failed, "install it, or correct its name in the template set"),
    "systemd1.UnitMasked": (Failed, "unmask it with systemctl"),
    "systemd1.BadUnitSetting": (Failed, "systemd-analyze verify shows what is wrong in it"),
}


@contextlib.contextmanager
def translated(subject: str) -> Iterator[None]:
    """Errors of D-Bus as errors of relocd whose message begins with `subject`."""
    try:
        yield
    except DBusError as error:
        kind, advice = _ERRORS.get(error.type.removeprefix("org.freedesktop."), (Failed, ""))
        raise kind(f"{subject}: {error.text.rstrip('.')}" + (f"; {advice}" if advice else "")) from error
    except InvalidAddressError as error:
        raise Invalid(f"{subject}: {error}; correct DBUS_SYSTEM_BUS_ADDRESS") from error
    except TimeoutError as error:
        raise Unavailable(f"{subject}: systemd does not answer on D-Bus") from error
    except OSError as error:
        raise Unavailable(f"{subject}: no D-Bus: {error.strerror or error}; {_NO_SYSTEMD}") from error
    except (EOFError, AuthError, InvalidMessageError) as error:
        raise Unavailable(f"{subject}: D-Bus ended the connection{_detail(error)}") from error
    except DBusFastError as error:
        raise Failed(f"{subject}: {error}") from error
    except (ValueError, TypeError, AttributeError, struct.error) as error:  # a value that no message can have
        raise Invalid(f"{subject!a}: {type(error).__name__} on D-Bus; correct the name of the unit") from error


class SystemdBus:
    """A connection that `open` establishes; `signal` gets path, member and body, `lost` the reason of its end."""

    def __init__(
        self,
        address: str | None,
        limit_s: float,
        signal: Callable[[str, str, list[Any]], None],
        lost: Callable[[str], None],
    ) -> None:
        self._address = address
        self._limit_s = limit_s
        self._signal = signal
        self._lost = lost
        self._owner = ""
        self._bus: MessageBus | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the connection works."""
        return self._bus is not None and self._bus.connected

    async def open(self) -> None:
        """Connect and subscribe to the signals of systemd; raises `Unavailable`."""
        with translated("systemd"):
            async with asyncio.timeout(self._limit_s):
                bus = await MessageBus(bus_address=self._address, bus_type=BusType.SYSTEM).connect()
        self._bus = bus
        self._ending = asyncio.create_task(bus.wait_for_disconnect())  # type: ignore[no-untyped-call]  # as it ships
        self._ending.add_done_callback(self._ended)
        bus.add_message_handler(self._receive)
        try:
            # In this order no change of the owner is missed.
            await self.match(f"sender='{_DBUS}',member='NameOwnerChanged',arg0='{_SYSTEMD}'")
            (self._owner,) = await self.call("systemd", _BUS, "GetNameOwner", _SYSTEMD)
            await self.call("systemd", MANAGER, "Subscribe")
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connection; `lost` is not called."""
        self._lost = _nobody
        if self._bus is not None and self._ending is not None:
            self._bus.disconnect()
            await asyncio.wait((self._ending,))

    async def match(self, rule: str) -> None:
        """Receive the signals of a match rule of D-Bus (its type is added)."""
        await self.call("systemd", _BUS, "AddMatch", f"type='signal',{rule}")

    async def property(self, subject: str, remote: Remote, name: str) -> Any:
        """The value of a property; errors begin with `subject`."""
        properties = Remote(remote.owner, remote.path, "org.freedesktop.DBus.Properties")
        found = await self.call(subject, properties, "Get", remote.interface, name)
        with translated(subject):
            return found[0].value

    async def call(self, subject: str, remote: Remote, method: str, *arguments: str) -> list[Any]:
        """Call a method and return its answer; errors begin with `subject`."""
        with translated(subject):
            message = Message(
                destination=remote.owner,
                path=remote.path,
                interface=remote.interface,
                member=method,
                signature="s" * len(arguments),
                body=list(arguments),
            )
            return _body(await self._answer(message))

    async def _answer(self, message: Message) -> Message | None:
        # The library never answers a call on a closed connection.
        if self._bus is None or not self._bus.connected:
            raise EOFError
        async with asyncio.timeout(self._limit_s):
            return await self._bus.call(message)

    def _receive(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.sender == self._owner:
            self._signal(cast("str", message.path), cast("str", message.member), message.body)
        elif self._bus and message.sender == _DBUS and message.member == "NameOwnerChanged":
            self._bus.disconnect()

    def _ended(self, ending: asyncio.Task[None]) -> None:
        error = None if ending.cancelled() else ending.exception()
        self._lost("the connection was closed" if error else "systemd left the bus")


def _body(reply: Message | None) -> list[Any]:
    if reply is None:
        raise EOFError
    if reply.message_type is MessageType.ERROR:
        text = str(reply.body[0]) if reply.body else "refused"
        raise DBusError(reply.error_name or "org.freedesktop.DBus.Error.Failed", text, reply)
    return reply.body


def _detail(error: Exception) -> str:
    return f": {error}" if str(error) else ""


def _nobody(_reason: str) -> None:
    """Ignore the end of a connection that was closed here."""
