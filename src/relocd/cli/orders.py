"""The orders that a person or a trigger gives: links, fences, failover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import click

from relocd.cli.access import cluster, server, servers, service, with_access
from relocd.cli.options import bundled, dry_run, flag, option, timeout
from relocd.errors import Failed
from relocd.model.ldif import remark
from relocd.operator.access import Access
from relocd.operator.change import orders
from relocd.operator.change.changes import OrderPlan
from relocd.operator.change.ldif import ldif
from relocd.operator.change.waiting import Follower
from relocd.printable import say

__all__ = ["activate", "failover", "fence", "link", "move", "unfence", "unlink"]

_TIMEOUT_S: Final = 60


@dataclass(frozen=True, slots=True)
class _Mode:
    """How an order is given: only shown as LDIF, or given, and then followed for at most so long."""

    dry_run: bool
    wait_s: float | None = None


def _once(dry_run: bool) -> _Mode:
    return _Mode(dry_run)


def _followed(dry_run: bool, wait: bool, timeout_s: float) -> _Mode:
    return _Mode(dry_run, timeout_s if wait else None)


_DRY_RUN: Final = dry_run("Only print the LDIF that ldapmodify would take.")
_FOLLOWING: Final = (
    _DRY_RUN,
    flag("--wait", help="Show how the agents carry it out, until it is done."),
    timeout(_TIMEOUT_S, "Give up after this long, with --wait."),
)
_with_dry_run: Final = bundled("mode", _once, (_DRY_RUN,))
_with_wait: Final = bundled("mode", _followed, _FOLLOWING)


@click.command
@service
@server
@with_access
@_with_wait
def link(*, service: str, server: str, access: Access, mode: _Mode) -> None:
    """Link a server to a service: it should run there, and the agents hand over."""
    _do(access, orders.link(service, server), mode)


@click.command
@service
@server
@with_access
@_with_wait
def move(*, service: str, server: str, access: Access, mode: _Mode) -> None:
    """Move an exclusive service to a server by one modify: its link, or the active server of its cluster.

    Refused where SERVER is fenced, drained or paused. Where it is not ready the modify takes nothing from who serves.
    """
    _do(access, orders.move(service, server), mode)


@click.command
@service
@server
@with_access
@_with_dry_run
def unlink(*, service: str, server: str, access: Access, mode: _Mode) -> None:
    """Remove a server's link to a service: it should not run there."""
    _do(access, orders.unlink(service, server), mode)


@click.command
@server
@with_access
@_with_dry_run
def fence(*, server: str, access: Access, mode: _Mode) -> None:
    """Say that a server is powered off. Never say it of one that may still run."""
    _do(access, orders.fence(server), mode)


@click.command
@server
@with_access
@_with_dry_run
def unfence(*, server: str, access: Access, mode: _Mode) -> None:
    """Clear a server's fence: it is no longer powered off."""
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
    help="Choose who takes over; by default, for each service, the first by name that shares it and is alive.",
)
@flag("--fenced", help="Record first that SERVER is powered off.")
@_with_wait
def failover(*, server: str, access: Access, target: str, fenced: bool, mode: _Mode) -> None:
    """Let others take over everything that SERVER runs, by one modify for each. Its links stay; the agents remove them.

    Refused where who takes over is fenced, drained or paused. What another server holds stays there.
    """
    _do(access, orders.failover(server, target, fenced=fenced), mode)


def _do(access: Access, order: orders.Order, mode: _Mode) -> None:
    """Print what was done, and how the agents carry it out, or for a dry run LDIF in which all else is a comment."""
    if mode.dry_run:
        _show(orders.planned(access, order))
        return
    if mode.wait_s is None:
        move = orders.carried_out(access, order)
        _report(move)
    else:
        move = Follower(order, _report, say).run(access, mode.wait_s)
    _raise(move)


def _report(move: OrderPlan) -> None:
    for sentence in (*_remarks(move), *move.done):
        say(sentence)


def _show(move: OrderPlan) -> None:
    for sentence in _remarks(move):
        print(remark(sentence))
    print(ldif(move.modifications), end="", flush=True)
    _raise(move)


def _remarks(move: OrderPlan) -> tuple[str, ...]:
    return (*(f"warning: {doubt}" for doubt in move.warnings), *move.already)


def _raise(move: OrderPlan) -> None:
    if move.problems:
        raise Failed("; ".join(move.problems))
