"""An explanation as text for a person, and as JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from relocd.election import steps
from relocd.election.clusters import ClusterView, Succession, succession
from relocd.model.entries import Cluster, Failover
from relocd.operator.cluster_view import after_loss, cluster_view
from relocd.operator.explain.explain import IDLE, Explanation, Part, ServerExplanation
from relocd.operator.explain.forecast import ASSUMED, PlannedStep
from relocd.operator.explain.need import NeedKind
from relocd.operator.explain.need import as_json as need_json
from relocd.operator.service_view import ServiceView

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
    """The facts, then every server with its rule, then the next steps."""
    view = told.view
    lines: list[RenderableType] = [Text(view.service.name, "bold"), *map(_indented, _facts(told))]
    for about in told.servers:
        lines += _server(view, about)
    lines += [Text(hint, "yellow") for hint in _linking(told)]
    if view.service.exclusive:
        lines.append(Text(f"next: {_planned(view, told.next) or _rest(told)}"))
        lines += [Text(each) for each in _if_unhealthy(told)]
        lines.append(Text(f"assumed: {ASSUMED}", "dim"))
        lines.append(Text(f"rules: {RULES}", "dim"))
    return Group(*lines)


def _rest(told: Explanation) -> str:
    """Why no step is due."""
    waiting = ", ".join(each.row.server.name for each in told.servers if each.waits)
    return f"no change is due until {waiting} stops waiting" if waiting else "no change is due"


def _if_unhealthy(told: Explanation) -> Iterator[str]:
    if told.if_unhealthy == told.holder != "":
        yield f"if it failed its health checks on {told.holder}: it would stay there, for no other server would take it"
    elif told.if_unhealthy:
        yield f"if it failed its health checks on {told.holder}: it would move to {told.if_unhealthy}"


def _indented(text: str) -> Padding:
    return Padding(Text(text), (0, 0, 0, 2), expand=False)


def _facts(told: Explanation) -> Iterator[str]:
    view = told.view
    service = view.service
    kind = f"exclusive, isolation {service.isolation}" if service.exclusive else "shared"
    yield ", ".join([*map(str, service.addresses), kind])
    if service.exclusive:
        generation = "unknown" if told.generation is None else told.generation
        yield (
            f"holder {told.holder or 'none'}, candidate {told.candidate or 'none'}, "
            f"previous {told.previous or 'none'}, generation {generation}"
        )
    for cluster in view.clusters:
        yield from _cluster(cluster, cluster_view(cluster, view.servers.values()))
    if service.displaces:
        yield f"displaces {', '.join(sorted(dn.name for dn in service.displaces))}"
    displacing = (each for each in view.snapshot.services.values() if service.dn in each.displaces)
    yield from (f"displaced by {each.name} where that runs" for each in displacing)


def _cluster(cluster: Cluster, seen: ClusterView) -> Iterator[str]:
    """A cluster, which member would be active next, and why."""
    active = cluster.active.name if cluster.active else "none"
    preferred = sorted(dn.name for dn in cluster.preferred)
    parts = [f"active {active}", f"failover {cluster.failover}"]
    parts += [f"preferred {', '.join(preferred)}"] if preferred else []
    parts += [] if cluster.failback_s is None else [f"failback after {cluster.failback_s} s"]
    yield f"cluster {cluster.name}: {', '.join(parts)}"
    if (due := succession(seen)) is not None:
        yield f"{_named(seen, due)} should be active in {cluster.name}: {due.reason}"
    elif cluster.failover is Failover.AUTOMATIC and seen.active is not None:
        after = after_loss(seen)
        takes = "no member could take over" if after is None else f"{_named(seen, after)} would become active"
        yield f"if {active} died: {takes}"


def _named(seen: ClusterView, due: Succession) -> str:
    return next(each.name for each in seen.members if each.server == due.takers[0])


def _linking(told: Explanation) -> Iterator[str]:
    """How to link another server, where at most one is linked."""
    service = told.view.service
    if not told.servers:
        yield f"no server is linked to it; to run it on one: relocd link {service.name} SERVER"
    elif len(told.servers) == 1 and told.servers[0].part is not Part.FILES_ONLY:
        word = "move" if service.exclusive else "link"
        yield f"no other server is linked to it; to run it on another: relocd {word} {service.name} SERVER"


def _server(view: ServiceView, about: ServerExplanation) -> Iterator[RenderableType]:
    row = about.row
    age = "never heard" if row.age_s is None else f"heard {row.age_s:.1f} s ago"
    age = row.silence.removeprefix(f"{row.server.name} ") if row.is_of_the_future else age
    mode = [row.status.mode] if row.status is not None and row.status.mode != "normal" else []
    fenced = ["fenced"] if row.server.fenced else []
    reports = [f"reports {about.reports}"] if about.reports else []
    head = ", ".join([f" {about.part}", about.link, *fenced, age, *mode, *reports])
    yield Text.assemble((row.server.name, "bold green" if about.reports == "active" else "bold"), head)
    yield from map(_indented, _reasons(view, about))


def _reasons(view: ServiceView, about: ServerExplanation) -> Iterator[str]:
    if about.step is not None:
        does = about.step.reason if about.does == "Keep" else f"{_sentence(view, about.step)}: {about.step.reason}"
        does = "candidate" if about.waits and about.does == "Keep" else does
        would = " (if its agent acted)" if about.idle else ""
        yield f"{about.rule or 'no rule'}: {does}{would}"
    for need in about.waits:
        yield f"waits: takes over when {need}" if need.kind is NeedKind.HOLDER_DEAD else f"waits: {need}"
    if about.idle is not None:
        yield IDLE[about.idle]
    problems = about.row.problems_of(view.service.name)
    yield from (f"problem: {each}" for each in problems)
    if about.requirements is not None:
        needs = "; and ".join(map(str, about.requirements.needs))
        yield f"comes here when: {needs}" if needs else "it is on its way here"
        if about.requirements.planned:
            yield f"then: {_planned(view, about.requirements.planned)}"


def _planned(view: ServiceView, planned: Iterable[PlannedStep]) -> str:
    return ", ".join(
        f"{view.name(due.server)} {_sentence(view, due.step)} ({due.step.rule or 'no rule'})" for due in planned
    )


def _sentence(view: ServiceView, step: steps.Step) -> str:
    match step:
        case steps.HandOver(_, to):
            return f"stops it and hands over to {view.name(to)}"
        case steps.FailBack(_, to):
            return f"stops it and gives it back to {view.name(to)}"
        case steps.DeleteLink(server):
            return f"deletes the link of {view.name(server)}"
        case _:
            return _SAID.get(type(step), type(step).__name__)


def as_json(told: Explanation) -> dict[str, Any]:
    """Everything as JSON values; neither parameters nor secrets are part of it."""
    view, service = told.view, told.view.service
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
                "preferred": sorted(map(str, each.preferred)),
                "failback_s": each.failback_s,
                "next_active": _next_active(cluster_view(each, view.servers.values())),
            }
            for each in view.clusters
        ],
        "servers": [_server_json(view, each) for each in told.servers],
        "next": [_act_json(view, each) for each in told.next],
        "if_unhealthy": told.if_unhealthy or None,
        "assumed": ASSUMED,
        "rules": RULES,
    }


def _next_active(seen: ClusterView) -> str | None:
    """The member that should be active now, or would be if the active one died."""
    due = succession(seen) or after_loss(seen)
    return None if due is None else _named(seen, due)


def _server_json(view: ServiceView, about: ServerExplanation) -> dict[str, Any]:
    row = about.row
    return {
        "name": row.server.name,
        "dn": str(row.server.dn),
        "part": about.part,
        "link": about.link,
        "fenced": row.server.fenced,
        "silent": row.is_silent,
        "age_s": None if row.age_s is None else round(row.age_s, 3),
        "mode": None if row.status is None else row.status.mode,
        "reports": about.reports or None,
        "problems": list(row.problems_of(view.service.name)),
        "rule": about.rule,
        "step": about.does or None,
        "reason": None if about.step is None else about.step.reason,
        "waits": [need_json(each) for each in about.waits],
        "idle": about.idle,
        "needs": None if about.requirements is None else [need_json(each) for each in about.requirements.needs],
        "then": [] if about.requirements is None else [_act_json(view, each) for each in about.requirements.planned],
    }


def _act_json(view: ServiceView, due: PlannedStep) -> dict[str, str | None]:
    step = type(due.step).__name__
    return {"server": view.name(due.server), "step": step, "rule": due.step.rule, "reason": due.step.reason}
