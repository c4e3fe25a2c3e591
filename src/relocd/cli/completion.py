"""`relocd completion`, and the answers that the script it prints asks for: scripts and protocol are click's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click
from click.shell_completion import ShellComplete, get_completion_class, shell_complete

from relocd.install.triggers import Target

__all__ = ["HINT", "completion", "exit_if_asked", "targets"]

HINT: Final = "shells that start from now on complete relocd's words"

_PLACES: Final = {
    "bash": "bash-completion/completions/relocd",
    "zsh": "zsh/site-functions/_relocd",
    "fish": "fish/vendor_completions.d/relocd.fish",
}
# Once loaded from its folder, click's script would only register itself when it is asked for the second time.
_MORE: Final = {"zsh": "compdef _relocd_completion relocd\n"}
_SHARE: Final = "usr/local/share"
_PROGRAM: Final = "relocd"
_VARIABLE: Final = "_RELOCD_COMPLETE"


@click.command
@click.argument("shell", type=click.Choice(list(_PLACES)), metavar="SHELL", help=f"One of {', '.join(_PLACES)}.")
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script by which a shell completes the words of relocd.

    For this shell only: source <(relocd completion bash). For everybody: relocd install completion.
    """
    print(_script(context.find_root().command, shell), end="")


def targets(command: click.Command, root: Path) -> tuple[Target, ...]:
    """The scripts, each where its shell looks for it by itself."""
    share = root / _SHARE
    return tuple(Target(share / place, _script(command, shell), 0o644) for shell, place in _PLACES.items())


def exit_if_asked(command: click.Command) -> None:
    """Answer the script that asks how a line may go on, and exit; nothing without its variable.

    click would do so, too, but only after the environment was found fault with, in the middle of somebody's line.
    """
    instruction = os.environ.get(_VARIABLE)
    if instruction:
        raise SystemExit(shell_complete(command, {}, _PROGRAM, _VARIABLE, instruction))


def _script(command: click.Command, shell: str) -> str:
    kind: type[ShellComplete] | None = get_completion_class(shell)
    if kind is None:
        raise LookupError(f"click has no completion for {shell}")
    return kind(command, {}, _PROGRAM, _VARIABLE).source() + _MORE.get(shell, "")
