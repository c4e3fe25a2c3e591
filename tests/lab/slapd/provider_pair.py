"""Two providers of the control suffix on two hosts, made by `relocd init-pair`; entries are written as plain LDIF."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from tests.lab.hosts.base_server import ADMIN, BaseServer
from tests.lab.hosts.hosts import Host
from tests.lab.slapd.control_pair import meet

__all__ = ["Provider", "provider_pair"]


class Provider(BaseServer):
    """A base server whose `add` and `modify` are its administrator's: root of the machine may not write there."""

    def _client(self, program: str, ldif: str) -> None:
        self._as(ADMIN, program, ldif)


def provider_pair(stack: ExitStack, hosts: Sequence[Host]) -> list[Provider]:
    """The two providers, which have met; they end with the stack."""
    pair = [stack.enter_context(Provider(host=host, listen=["ldap:///"], durable=False)) for host in hosts]
    meet(pair)
    return pair
