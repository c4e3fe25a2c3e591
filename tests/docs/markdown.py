"""The blocks of a page that somebody could copy, and the commands in them with what the page says they print.

A line of a `console` block that begins with a prompt is a command: `# ` is root and `$ ` is a person at the
workstation; the name of a machine may stand before either. It goes on after a backslash and to the end of a
here-document. All other lines are what it prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Block", "Command", "blocks", "commands"]

_FENCE: Final = re.compile(r"^```(\w*)$")
_HEADING: Final = re.compile(r"^#+ (.*)$")
_PROMPT: Final = re.compile(r"^(?P<machine>[a-z0-9-]*)(?P<who>[#$]) (?P<text>.*)$")
_HERE: Final = re.compile(r"<<'?(\w+)'?")
_EXIT: Final = re.compile(r"^.*\s# exit code (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between two fences, the line of the page it begins in, and the heading it stands under."""

    language: str
    text: str
    line: int
    section: str


@dataclass(frozen=True, slots=True)
class Command:
    """One command as the page shows it; `machine` is empty where the prompt names none."""

    text: str
    line: int
    machine: str
    at_workstation: bool
    output: str

    @property
    def exit_code(self) -> int:
        """The exit code that its comment tells, as in `relocd status   # exit code 1`; else 0."""
        found = _EXIT.search(self.text)
        return int(found[1]) if found else 0


def blocks(page: Path) -> list[Block]:
    """All of them, in order."""
    found, section, opened, inside = [], "", None, []
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        fence, heading = _FENCE.match(line), _HEADING.match(line)
        if opened and fence:
            found.append(Block(opened[0], "\n".join(inside) + "\n", opened[1] + 1, section))
            opened, inside = None, []
        elif opened:
            inside.append(line)
        elif fence:
            opened = (fence[1], number)
        elif heading:
            section = heading[1]
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a `console` block, each with the lines after it up to the next prompt."""
    found: list[Command] = []
    lines = enumerate(block.text.splitlines(), start=block.line)
    for number, line in lines:
        prompt = _PROMPT.match(line)
        if prompt is None:
            if not found:
                raise ValueError(f"line {number} begins a console block and is no command: {line}")
            found[-1] = _with_output(found[-1], line)
        else:
            text = _whole(prompt["text"], lines)
            found.append(Command(text, number, prompt["machine"], prompt["who"] == "$", ""))
    return found


def _with_output(command: Command, line: str) -> Command:
    return Command(command.text, command.line, command.machine, command.at_workstation, f"{command.output}{line}\n")


def _whole(first: str, lines: Iterator[tuple[int, str]]) -> str:
    """A command with the lines it goes on in."""
    text = first
    while text.endswith("\\"):
        text += "\n" + next(lines)[1]
    for ending in _HERE.findall(first):
        while text.splitlines()[-1] != ending:
            text += "\n" + next(lines)[1]
    return text
