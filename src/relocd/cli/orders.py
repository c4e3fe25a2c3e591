"""The orders that a person or a trigger gives: links, fences, failover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import click

from relocd.cli.access import with_access
from relocd.cli.names import cluster, server, servers, service
from relocd.cli.options import bundled, dry_run, flag, option, timeout
from relocd.errors import Failed
from relocd.model.ldif import remark
from relocd.operator.access import Access
from relocd.operator.change import orders
from relocd.operator.change.changes import Move
from relocd.operator.change.ldif import ldif
from relocd.operator.change.waiting import Follower
from relocd.printable import say

__all__ = ["activate", "failover", "fence", "link", "move", "unfence", "unlink"]

_TIMEOUT_S: Final = 60


@dataclass(frozen=True, slots=True)
class _Manner:
    """How an order is given: only shown as LDIF, or given, and then followed for at most so long."""

    dry_run: bool
    wait_s: float | None = None


def _once(dry_run: bool) -> _Manner:
    return _Manner(dry_run)


def _followed(dry_run: bool, wait: bool, timeout_s: float) -> _Manner:
    return _Manner(dry_run, timeout_s if wait else None)


_DRY_RUN: Final = dry_run("Only print the LDIF that ldapmodify would take.")
_FOLLOWING: Final = (
    _DRY_RUN,
    flag("--wait", help="Show how the agents carry it out, until it is done."),
    timeout(_TIMEOUT_S, "Give up after this long, with --wait."),
)
_given_once: Final = bundled("manner", _once, (_DRY_RUN,))
_given_and_followed: Final = bundled("manner", _followed, _FOLLOWING)


@click.command
@service
@server
@with_access
@_given_and_followed
def link(*, service: str, server: str, access: Access, manner: _Manner) -> None:
    """Link a server to a service: it should run there, and the agents hand over."""
    _do(access, orders.link(service, server), manner)


@click.command
@service
@server
@with_access
@_given_and_followed
def move(*, service: str, server: str, access: Access, manner: _Manner) -> None:
    """Move an exclusive service to a server by one modify: its link, or the active server of its cluster.

    Refused where SERVER is fenced, drained or paused. Where it is not ready the modify takes nothing from who serves.
    """
    _do(access, orders.move(service, server), manner)


@click.command
@service
@server
@with_access
@_given_once
def unlink(*, service: str, server: str, access: Access, manner: _Manner) -> None:
    """Remove a server's link to a service: it should not run there."""
    _do(access, orders.unlink(service, server), manner)


@click.command
@server
@with_access
@_given_once
def fence(*, server: str, access: Access, manner: _Manner) -> None:
    """Say that a server is powered off. Never say it of one that may still run."""
    _do(access, orders.fence(server), manner)


@click.command
@server
@with_access
@_given_once
def unfence(*, server: str, access: Access, manner: _Manner) -> None:
    """Clear a server's fence: it is no longer powered off."""
    _do(access, orders.unfence(server), manner)


@click.command
@cluster
@server
@with_access
@_given_and_followed
def activate(*, cluster: str, server: str, access: Access, manner: _Manner) -> None:
    """Make a member the active server of a cluster."""
    _do(access, orders.activate(cluster, server), manner)


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
@_given_and_followed
def failover(*, server: str, access: Access, target: str, fenced: bool, manner: _Manner) -> None:
    """Let others take over everything that SERVER runs, by one modify for each. Its links stay; the agents remove them.

    Refused where who takes over is fenced, drained or paused. What another server holds stays there.
    """
    _do(access, orders.failover(server, target, fenced=fenced), manner)


def _do(access: Access, order: orders.Order, manner: _Manner) -> None:
    """Print what was done, and how the agents carry it out, or for a dry run LDIF in which all else is a comment."""
    if manner.dry_run:
        _show(orders.planned(access, order))
        return
    if manner.wait_s is None:
        move = orders.carried_out(access, order)
        _report(move)
    else:
        move = Follower(order, _report, say).run(access, manner.wait_s)
    _raise(move)


def _report(move: Move) -> None:
    for sentence in (*_remarks(move), *move.done):
        say(sentence)


def _show(move: Move) -> None:
    for sentence in _remarks(move):
        print(remark(sentence))
    print(ldif(move.modifications), end="", flush=True)
    _raise(move)


def _remarks(move: Move) -> tuple[str, ...]:
    return (*(f"warning: {doubt}" for doubt in move.warnings), *move.already)


def _raise(move: Move) -> None:
    if move.problems:
        raise Failed("; ".join(move.problems))
