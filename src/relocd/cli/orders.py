"""`relocd link`, `move`, `unlink`, `fence`, `unfence`, `activate` and `failover`: orders to the agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import click

from relocd.cli.access import cluster, server, servers, service, with_access
from relocd.cli.options import bundled, dry_run, flag, in_json, option, timeout
from relocd.cli.output import print_json
from relocd.errors import Failed, Invalid
from relocd.model.ldif import ldif, remark
from relocd.operator.access import Access
from relocd.operator.change import orders
from relocd.operator.change.changes import OrderPlan
from relocd.operator.change.obstacle import as_json
from relocd.operator.change.waiting import Follower
from relocd.printable import say

__all__ = ["activate", "failover", "fence", "link", "move", "unfence", "unlink"]

_TIMEOUT_S: Final = 60


@dataclass(frozen=True, slots=True)
class _Mode:
    """How to give an order: only print its LDIF, or write it and, with `wait_s`, follow it for at most that long."""

    dry_run: bool
    in_json: bool
    wait_s: float | None = None


def _once(dry_run: bool, in_json: bool) -> _Mode:
    return _Mode(dry_run, in_json)


def _followed(dry_run: bool, in_json: bool, wait: bool, timeout_s: float) -> _Mode:
    if in_json and wait:
        raise Invalid("--json and --wait exclude each other")
    return _Mode(dry_run, in_json, timeout_s if wait else None)


_DRY_RUN: Final = dry_run("Only print the change as LDIF for ldapmodify.")
_FOLLOWING: Final = (
    _DRY_RUN,
    in_json,
    flag("--wait", help="Show how the agents carry out the order, until it is done."),
    timeout(_TIMEOUT_S, "Give up after this long, with --wait."),
)
_with_dry_run: Final = bundled("mode", _once, (_DRY_RUN, in_json))
_with_wait: Final = bundled("mode", _followed, _FOLLOWING)


@click.command
@service
@server
@with_access
@_with_wait
def link(*, service: str, server: str, access: Access, mode: _Mode) -> None:
    """Link a server to a service: the service should run there, and the agents hand it over."""
    _do(access, orders.link(service, server), mode)


@click.command
@service
@server
@with_access
@_with_wait
def move(*, service: str, server: str, access: Access, mode: _Mode) -> None:
    """Move an exclusive service to a server by one modify: of the server's link, or of the cluster's active server.

    Refused where SERVER is fenced, drained or paused. Where SERVER is not ready the present holder keeps serving.
    """
    _do(access, orders.move(service, server), mode)


@click.command
@service
@server
@with_access
@_with_dry_run
def unlink(*, service: str, server: str, access: Access, mode: _Mode) -> None:
    """Remove a server's link to a service: the service should not run there."""
    _do(access, orders.unlink(service, server), mode)


@click.command
@server
@with_access
@_with_dry_run
def fence(*, server: str, access: Access, mode: _Mode) -> None:
    """Fence a server: confirm that it is powered off. Never fence one that may still run."""
    _do(access, orders.fence(server), mode)


@click.command
@server
@with_access
@_with_dry_run
def unfence(*, server: str, access: Access, mode: _Mode) -> None:
    """Clear a server's fence: it may run services again."""
    _do(access, orders.unfence(server), mode)


@click.command
@cluster
@server
@with_access
@_with_wait
def activate(*, cluster: str, server: str, access: Access, mode: _Mode) -> None:
    """Make a member the active server of a cluster."""
    _do(access, orders.activate(cluster, server), mode)


@click.command
@server
@with_access
@option(
    "--to",
    "target",
    default="",
    shell_complete=servers,
    help="Let this server take over; by default, for each service, the first by name that shares it and is alive.",
)
@flag("--fenced", help="Fence SERVER first: confirm that it is powered off.")
@_with_wait
def failover(*, server: str, access: Access, target: str, fenced: bool, mode: _Mode) -> None:
    """Let other servers take over everything that SERVER runs, by one modify for each of them.

    The agents remove the links of SERVER. Refused where a server that takes over is fenced, drained or paused. What
    another server holds stays there.
    """
    _do(access, orders.failover(server, target, fenced=fenced), mode)


def _do(access: Access, order: orders.Order, mode: _Mode) -> None:
    """Carry out the order and print the result, with `wait_s` also the agents' progress; or print its LDIF."""
    if mode.dry_run:
        move = orders.planned(access, order)
        _show(move, in_json=mode.in_json)
    elif mode.wait_s is not None:
        move = Follower(order, _report, say).run(access, mode.wait_s)
    else:
        move = orders.carried_out(access, order)
        _report(move, in_json=mode.in_json)
    if move.problems:
        raise Failed("; ".join(map(str, move.problems)))


def _report(move: OrderPlan, *, in_json: bool = False) -> None:
    if in_json:
        _show_json(move)
        return
    for sentence in (*_remarks(move), *move.done):
        say(sentence)


def _show(move: OrderPlan, *, in_json: bool) -> None:
    if in_json:
        _show_json(move)
        return
    for sentence in _remarks(move):
        print(remark(sentence))
    print(ldif(move.modifications), end="", flush=True)


def _show_json(move: OrderPlan) -> None:
    """Print what is done, or would be, and the obstacles."""
    print_json(
        {
            "done": list(move.done),
            "already": list(move.already),
            "problems": [as_json(each) for each in move.problems],
            "warnings": [as_json(each) for each in move.warnings],
            "ldif": ldif(move.modifications),
        }
    )


def _remarks(move: OrderPlan) -> tuple[str, ...]:
    return (*(f"warning: {doubt}" for doubt in move.warnings), *move.already)
