"""An explanation as text for a person, and as JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from relocd.election import steps
from relocd.operator.explain.explain import Explanation, Stand
from relocd.operator.explain.forecast import Act
from relocd.operator.explain.model import ASSUMED
from relocd.operator.explain.service_view import ServiceView

__all__ = ["as_json", "as_text"]

RULES: Final = "docs/rules.md"
"""The page that says what R1 to R9 are."""
_SAID: Final = {
    steps.Activate: "activates it",
    steps.Stop: "stops it",
    steps.SwapIn: "swaps itself in as holder",
    steps.BecomeCandidate: "becomes candidate",
    steps.Withdraw: "withdraws its candidacy",
    steps.ClearCandidate: "clears its candidacy",
    steps.ClearPrevious: "clears relocPrevious",
    steps.Release: "stops it and clears the holder",
    steps.StepDown: "stops it and steps down",
}


def as_text(told: Explanation) -> RenderableType:
    """The facts, then every server with its rule, then what is next."""
    scene = told.scene
    lines: list[RenderableType] = [Text(scene.service.name, "bold"), *map(_indented, _facts(told))]
    for stand in told.stands:
        lines += _server(scene, stand)
    lines += [Text(hint, "yellow") for hint in _linking(told)]
    if scene.service.exclusive:
        lines.append(Text(f"next: {_acts(scene, told.next) or _rest(told)}"))
        lines.append(Text(f"assumed: {ASSUMED}", "dim"))
        lines.append(Text(f"rules: {RULES}", "dim"))
    return Group(*lines)


def _rest(told: Explanation) -> str:
    """Why nothing is next."""
    waiting = ", ".join(each.seen.server.name for each in told.stands if each.waits)
    return f"no change is due until {waiting} stops waiting" if waiting else "no change is due"


def _indented(text: str) -> Padding:
    return Padding(Text(text), (0, 0, 0, 2), expand=False)


def _facts(told: Explanation) -> Iterator[str]:
    scene = told.scene
    service = scene.service
    kind = f"exclusive, isolation {service.isolation}" if service.exclusive else "shared"
    yield ", ".join([*map(str, service.addresses), kind])
    if service.exclusive:
        generation = "unknown" if told.generation is None else told.generation
        yield (
            f"holder {told.holder or 'none'}, candidate {told.candidate or 'none'}, "
            f"previous {told.previous or 'none'}, generation {generation}"
        )
    for cluster in scene.clusters:
        active = cluster.active.name if cluster.active else "none"
        yield f"cluster {cluster.name}: active {active}, failover {cluster.failover}"
    if service.displaces:
        yield f"displaces {', '.join(sorted(dn.name for dn in service.displaces))}"
    displacing = (each for each in scene.snapshot.services.values() if service.dn in each.displaces)
    yield from (f"displaced by {each.name} where that runs" for each in displacing)


def _linking(told: Explanation) -> Iterator[str]:
    """How a server gets it that nothing links to it, where at most one is linked."""
    service = told.scene.service
    if not told.stands:
        yield f"no server is linked to it; to run it on one: relocd link {service.name} SERVER"
    elif len(told.stands) == 1 and told.stands[0].part != "files only":
        word = "move" if service.exclusive else "link"
        yield f"no other server is linked to it; to run it on another: relocd {word} {service.name} SERVER"


def _server(scene: ServiceView, stand: Stand) -> Iterator[RenderableType]:
    seen = stand.seen
    age = "never heard" if seen.age_s is None else f"heard {seen.age_s:.1f} s ago"
    age = seen.silence.removeprefix(f"{seen.server.name} ") if seen.is_of_the_future else age
    mode = [seen.sign.mode] if seen.sign is not None and seen.sign.mode != "normal" else []
    fenced = ["fenced"] if seen.server.fenced else []
    says = [f"says {stand.says}"] if stand.says else []
    head = ", ".join([f" {stand.part}", stand.link, *fenced, age, *mode, *says])
    yield Text.assemble((seen.server.name, "bold green" if stand.says == "active" else "bold"), head)
    yield from map(_indented, _reasons(scene, stand))


def _reasons(scene: ServiceView, stand: Stand) -> Iterator[str]:
    if stand.step is not None:
        does = stand.step.reason if stand.does == "Keep" else f"{_sentence(scene, stand.step)}: {stand.step.reason}"
        does = "candidate" if stand.waits and stand.does == "Keep" else does
        would = " (if its agent acted)" if stand.idle else ""
        yield f"{stand.rule or 'no rule'}: {does}{would}"
    yield from (f"waits: {each}" for each in stand.waits)
    if stand.idle:
        yield stand.idle
    problems = stand.seen.problems_of(scene.service.name)
    yield from (f"problem: {each}" for each in problems)
    if stand.way is not None:
        needs = "; and ".join(stand.way.needs)
        yield f"comes here when: {needs}" if needs else "it is on its way here"
        if stand.way.acts:
            yield f"then: {_acts(scene, stand.way.acts)}"


def _acts(scene: ServiceView, acts: Iterable[Act]) -> str:
    return ", ".join(
        f"{scene.name(act.server)} {_sentence(scene, act.step)} ({act.step.rule or 'no rule'})" for act in acts
    )


def _sentence(scene: ServiceView, step: steps.Step) -> str:
    match step:
        case steps.HandOver(_, to):
            return f"stops it and hands over to {scene.name(to)}"
        case steps.FailBack(_, to):
            return f"stops it and gives it back to {scene.name(to)}"
        case steps.DeleteLink(server):
            return f"deletes the link of {scene.name(server)}"
        case _:
            return _SAID.get(type(step), type(step).__name__)


def as_json(told: Explanation) -> dict[str, Any]:
    """Everything as JSON values; neither parameters nor secrets are part of it."""
    scene, service = told.scene, told.scene.service
    return {
        "service": {
            "name": service.name,
            "dn": str(service.dn),
            "exclusive": service.exclusive,
            "isolation": str(service.isolation),
            "addresses": [str(address) for address in service.addresses],
            "displaces": sorted(str(dn) for dn in service.displaces),
        },
        "state": {
            "holder": told.holder or None,
            "candidate": told.candidate or None,
            "previous": told.previous or None,
            "generation": told.generation,
        },
        "clusters": [
            {
                "name": each.name,
                "active": None if each.active is None else str(each.active),
                "failover": str(each.failover),
            }
            for each in scene.clusters
        ],
        "servers": [_server_json(scene, each) for each in told.stands],
        "next": [_act_json(scene, each) for each in told.next],
        "assumed": ASSUMED,
        "rules": RULES,
    }


def _server_json(scene: ServiceView, stand: Stand) -> dict[str, Any]:
    seen = stand.seen
    return {
        "name": seen.server.name,
        "dn": str(seen.server.dn),
        "part": stand.part,
        "link": stand.link,
        "fenced": seen.server.fenced,
        "silent": seen.is_silent,
        "age_s": None if seen.age_s is None else round(seen.age_s, 3),
        "mode": None if seen.sign is None else seen.sign.mode,
        "says": stand.says or None,
        "problems": list(seen.problems_of(scene.service.name)),
        "rule": stand.rule,
        "step": stand.does or None,
        "reason": None if stand.step is None else stand.step.reason,
        "waits": list(stand.waits),
        "idle": stand.idle or None,
        "needs": None if stand.way is None else list(stand.way.needs),
        "then": [] if stand.way is None else [_act_json(scene, each) for each in stand.way.acts],
    }


def _act_json(scene: ServiceView, act: Act) -> dict[str, str | None]:
    step = type(act.step).__name__
    return {"server": scene.name(act.server), "step": step, "rule": act.step.rule, "reason": act.step.reason}
