"""Explanations of `web` on two servers, and what they say."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from relocd.model.entries import Entry
from relocd.operator.explain.explain import Explanation, ServerExplanation, explanation
from relocd.operator.explain.text import as_text
from tests.support import entries
from tests.unit.operator.views import HELD, heard, web_view

CLUSTER = entries.cluster("pair", services=["web"], active="a")
A_SILENT = [HELD[0], heard("a", lease="0.5", active="web")]


def explained(*found: Entry, age_s: float = 1.0, **more: Any) -> Explanation:
    return explanation(web_view(*found, age_s=age_s, **more))


def stands(told: Explanation) -> dict[str, ServerExplanation]:
    return {each.row.server.name: each for each in told.servers}


def needs(about: ServerExplanation) -> list[tuple[object, ...]] | None:
    """The kind and server of each need, with what its agent or the links name, and the proofs."""
    if about.requirements is None:
        return None
    return [
        tuple(filter(None, (each.kind, each.server, each.detail, each.proofs))) for each in about.requirements.needs
    ]


def text(told: Explanation, width: int = 200) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(as_text(told))
    return captured.get()


def state(**named: str | None) -> Entry:
    return entries.state("web", **{"holder": "a"} | named)  # type: ignore[arg-type]
