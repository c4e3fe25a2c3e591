"""What answers or renders in a server in memory: programs, services that are checked, and the process that renders."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

import msgspec

from relocd.errors import Failed, Invalid
from relocd.model.health import Check
from relocd.ports.host import Rendered
from relocd.reconcile.health import PlannedText
from relocd.reconcile.spec import PlannedFile
from relocd.reconcile.template_context import TemplateContext
from tests.support.fake_records import World

__all__ = ["FakeCommands", "FakeProbes", "FakeRenderer"]


class FakeCommands:
    """Programs; `failing` ones come to no end, after they have said what is in `said`; `missing` ones are not here."""

    def __init__(self, world: World) -> None:
        self.failing: set[str] = set()
        self.missing: set[str] = set()
        self.said: dict[str, str] = {}
        self._world = world

    def run(self, arguments: Sequence[str], timeout_s: float) -> Awaitable[None]:
        return self._run(" ".join(arguments), timeout_s)

    def finds(self, program: str) -> bool:
        return program not in self.missing

    async def _run(self, line: str, timeout_s: float) -> None:
        if line in self.failing:
            raise Failed(f"{line}: no end within {timeout_s:g} s", self.said.get(line, ""))
        self._world.happen(f"run {line}", lambda: None)


class FakeProbes:
    """Answers to health checks by their names: a failure, or None for no answer at all; any other is well."""

    def __init__(self) -> None:
        self.answers: dict[str, str | None] = {}
        self.asked: list[str] = []

    async def probe(self, check: Check) -> None:
        self.asked.append(check.name)
        answer = self.answers.get(check.name, "")
        if answer is None:
            await asyncio.get_running_loop().create_future()
        if answer:
            raise Failed(f"{check.name}: {answer}")


class FakeRenderer:
    """Templates by set and source: formats over the context. One that is not there, or lacks a name, is an error.

    A service with a parameter of the value `refused` has nothing rendered.
    """

    def __init__(self) -> None:
        self.templates: dict[tuple[str, str], str] = {}
        self.refused = ""

    async def render(
        self, files: Sequence[PlannedFile | PlannedText], context: TemplateContext
    ) -> Sequence[Rendered | Invalid]:
        await asyncio.sleep(0)
        if self.refused and self.refused in context.parameters.values():
            return [Invalid(f"template set web: a parameter is {self.refused!r}") for _ in files]
        return [
            Rendered(file.text, "secrets" in file.text)
            if isinstance(file, PlannedText)
            else self._rendered(file, context)
            for file in files
        ]

    def _rendered(self, file: PlannedFile, context: TemplateContext) -> Rendered | Invalid:
        name, source = file.template_set.name, file.spec.source
        text = self.templates.get((name, source), "{nothing}")
        seen = msgspec.to_builtins(context) | {"parameters": dict(context.parameters)}
        try:
            return Rendered(text.format_map(seen), "{secrets" in text)
        except (KeyError, IndexError) as error:
            return Invalid(f"template set {name}: {source}, line 1: {error} is undefined")
