"""The orders that a person or a trigger gives: links, fences, failover."""

from __future__ import annotations

from typing import Annotated

import typer

from relocd import cli_names
from relocd.cli_access import Seconds, with_access
from relocd.cli_groups import ACT
from relocd.errors import Failed
from relocd.ldif import remark
from relocd.operator import orders
from relocd.operator.access import Access
from relocd.operator.ldif import ldif
from relocd.operator.moves import Move
from relocd.operator.waiting import Follower
from relocd.printable import say

__all__ = ["app"]

app = typer.Typer()
Service = Annotated[str, typer.Argument(help="The service's cn, or its DN.", autocompletion=cli_names.services)]
Server = Annotated[str, typer.Argument(help="The server's cn, or its DN.", autocompletion=cli_names.servers)]
Cluster = Annotated[str, typer.Argument(help="The cluster's cn, or its DN.", autocompletion=cli_names.clusters)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print the LDIF that ldapmodify would take.")]
Wait = Annotated[bool, typer.Option("--wait", help="Show how the agents carry it out, until it is done.")]
Timeout = Annotated[
    float, typer.Option("--timeout", click_type=Seconds(), help="With --wait: seconds until giving up.")
]
_TIMEOUT_S = 60.0


@app.command(rich_help_panel=ACT)
@with_access
def link(
    service: Service,
    server: Server,
    access: Access,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout_s: Timeout = _TIMEOUT_S,
) -> None:
    """Link a server to a service: it shall run there, and the agents hand over."""
    _do(access, orders.link(service, server), dry_run=dry_run, wait_s=timeout_s if wait else None)


@app.command(rich_help_panel=ACT)
@with_access
def move(
    service: Service,
    server: Server,
    access: Access,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout_s: Timeout = _TIMEOUT_S,
) -> None:
    """Move an exclusive service to a server by one modify: its link, or the active server of its cluster.

    Refused where SERVER is fenced, drained or paused. Where it is not ready the modify takes nothing from who serves.
    """
    _do(access, orders.move(service, server), dry_run=dry_run, wait_s=timeout_s if wait else None)


@app.command(rich_help_panel=ACT)
@with_access
def unlink(service: Service, server: Server, access: Access, dry_run: DryRun = False) -> None:
    """Remove a server's link to a service: it shall not run there."""
    _do(access, orders.unlink(service, server), dry_run=dry_run)


@app.command(rich_help_panel=ACT)
@with_access
def fence(server: Server, access: Access, dry_run: DryRun = False) -> None:
    """Say that a server is powered off. Never say it of one that may still run."""
    _do(access, orders.fence(server), dry_run=dry_run)


@app.command(rich_help_panel=ACT)
@with_access
def unfence(server: Server, access: Access, dry_run: DryRun = False) -> None:
    """Say no longer that a server is powered off."""
    _do(access, orders.unfence(server), dry_run=dry_run)


@app.command(rich_help_panel=ACT)
@with_access
def activate(
    cluster: Cluster,
    server: Server,
    access: Access,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout_s: Timeout = _TIMEOUT_S,
) -> None:
    """Make a member the active server of a cluster."""
    _do(access, orders.activate(cluster, server), dry_run=dry_run, wait_s=timeout_s if wait else None)


@app.command(rich_help_panel=ACT)
@with_access
def failover(
    server: Server,
    access: Access,
    target: Annotated[
        str,
        typer.Option(
            "--to",
            help="Who takes over; else who shares each service, the first by name that is alive.",
            autocompletion=cli_names.servers,
        ),
    ] = "",
    fenced: Annotated[bool, typer.Option("--fenced", help="SERVER is powered off: say so first.")] = False,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout_s: Timeout = _TIMEOUT_S,
) -> None:
    """Let others take over everything that SERVER runs, by one modify for each. Its links stay; the agents remove them.

    Refused where who takes over is fenced, drained or paused. What another server holds stays there.
    """
    _do(access, orders.failover(server, target, fenced=fenced), dry_run=dry_run, wait_s=timeout_s if wait else None)


def _do(access: Access, order: orders.Order, *, dry_run: bool, wait_s: float | None = None) -> None:
    """Print what was done, or with `dry_run` LDIF, in which everything else is a comment; then follow it so long."""
    if dry_run:
        _show(orders.planned(access, order))
        return
    follower = None if wait_s is None else Follower(access, orders.planned(access, order).wishes, say)
    move = orders.carried_out(access, order)
    for sentence in (*_remarks(move), *move.done):
        say(sentence)
    if follower is not None and wait_s is not None and move.wishes:
        follower.follow(wait_s)
    _raise(move)


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
