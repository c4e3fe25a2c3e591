"""The placeholder `{name}` of a manifest: one template set serves many services, each with its own files and units.

A service's name comes from the directory and becomes part of a path, a unit name or an argument here, so only
harmless characters pass.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from relocd.errors import Invalid
from relocd.model.template_set import Command, FileSpec, TemplateSet, UnitSpec

__all__ = ["PLACEHOLDER", "expanded"]

PLACEHOLDER: Final = "{name}"
# The name of a file or a unit has at most 255 bytes, with all that stands around this one.
_HARMLESS: Final = re.compile(r"(?=.{1,128}\Z)[A-Za-z0-9](?:\.?[A-Za-z0-9_-])*")


def expanded(template_set: TemplateSet, name: str) -> TemplateSet:
    """The set for the service of that name: targets, checks, unit names and commands without the placeholder.

    Raises `Invalid` when the name is needed and could mean another path or another unit than it says.
    """
    return replace(
        template_set,
        files=tuple(_file(spec, name) for spec in template_set.files),
        units=tuple(_unit(spec, name) for spec in template_set.units),
        commands=tuple(_command(spec, name) for spec in template_set.commands),
    )


def _file(spec: FileSpec, name: str) -> FileSpec:
    checks = tuple(_arguments(check, name) for check in spec.checks)
    return replace(spec, target=_filled(spec.target, name), checks=checks)


def _unit(spec: UnitSpec, name: str) -> UnitSpec:
    return replace(spec, name=_filled(spec.name, name))


def _command(spec: Command, name: str) -> Command:
    return replace(spec, run=_arguments(spec.run, name))


def _arguments(arguments: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(_filled(argument, name) for argument in arguments)


def _filled(text: str, name: str) -> str:
    if PLACEHOLDER not in text:
        return text
    if not _HARMLESS.fullmatch(name):
        raise Invalid(
            f"the service name {name[:200]!r} cannot stand in {text!r}; name the service with at most 128 letters, "
            "digits, _, - and single dots, beginning with a letter or digit"
        )
    return text.replace(PLACEHOLDER, name)
