"""Whoever starts, orders and watches the agent: the service manager, a person, figures, and notifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from relocd.model.figures import Health
from relocd.model.status import Mode

__all__ = ["Meter", "Notifier", "NotifyTarget", "Orders", "StatusFile"]


class Meter(Protocol):
    """Figures for whoever watches the agent from outside; nothing here may fail or wait."""

    def acted(self, step: str, took_s: float, outcome: str) -> None:
        """A step of a convergence was done, or the whole of one; `outcome` is done, waits or failed."""
        ...

    def searched(self) -> None:
        """A search of the directory was begun: the first, or another after a connection was lost."""
        ...

    def confirmed(self, age_s: float) -> None:
        """A heartbeat that was sent so long ago has come back."""
        ...

    def check_failed(self, service: str, check: str) -> None:
        """A health check has failed once; `service` is empty for one of the whole server."""
        ...

    def stand(self, standing: Health) -> None:
        """The services stand like that from now on."""
        ...

    def will_send(self, what: str) -> None:
        """There is a queue of that name; nothing of it was sent, refused or dropped yet."""
        ...

    def sent(self, what: str, outcome: str) -> None:
        """Something of a queue, such as `history` or `webhook`, was sent: done, failed, or dropped for newer ones."""
        ...


class NotifyTarget(Protocol):
    """Whoever is told what happens on this server: `name` is its kind, `shown` what may be shown of its place."""

    name: str
    shown: str

    async def send(self, body: bytes) -> str:
        """Send once; the answer in words. Raises `Unavailable` where another attempt may work, else `Failed`."""
        ...


class Notifier(Protocol):
    """The service manager that started the agent."""

    def ready(self, status: str) -> None:
        """The agent has started; `status` is one line for a person."""
        ...

    def status(self, text: str) -> None:
        """One line about the agent's state for a person."""
        ...

    def alive(self) -> None:
        """The agent's loop still turns."""
        ...


class Orders(Protocol):
    """What a person has told the agent of this server; `problem` is why that is not known, empty while it is."""

    problem: str

    def mode(self) -> Mode:
        """The mode now; cheap enough to be asked again and again."""
        ...

    def retries(self) -> Sequence[str]:
        """The names of the services to try again, each order once; as cheap."""
        ...


class StatusFile(Protocol):
    """Where the agent's status is left for others to read."""

    async def write(self, status: Mapping[str, object]) -> bool:
        """Replace the status; whether that was possible. A failure is logged: a status is never worth stopping for."""
        ...
