"""An order on a directory that others change between its reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.errors import Failed
from relocd.model.dn import DN
from relocd.model.entries import Entry
from relocd.operator.change import orders
from tests.support.entries import BASE, server, service, state, uuid_of

READ = {"node": server("node"), "web": service("web", relocExclusive="TRUE", relocAddress="192.0.2.10/24")}
RENAMED = server("renamed", uuid=uuid_of("node"))
BROKEN = replace(RENAMED, attributes=RENAMED.attributes | {"objectclass": (b"relocServer", b"relocCluster")})


class Changing:
    """A directory whose server `node` is the holder and is another entry once its state is read."""

    base = DN.parse(BASE)

    def __init__(self, holder: Entry) -> None:
        self._now = {each.dn: each for each in (holder, state("web", holder="renamed"))}

    def entries(self, filter_: str, *_: object) -> tuple[Entry, ...]:
        return tuple(entry for name, entry in READ.items() if f"(cn={name})" in filter_)

    def named(self, name: DN, _: str) -> Entry | None:
        return self._now.get(name)


def test_a_server_that_is_renamed_while_it_is_read_is_still_the_one_that_was_named() -> None:
    assert orders.move("web", "node")(Changing(RENAMED)).problems == ()


def test_a_server_that_cannot_be_understood_any_more_fails_the_move() -> None:
    with pytest.raises(Failed):
        orders.move("web", "node")(Changing(BROKEN))
