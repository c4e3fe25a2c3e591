"""The rules R1 to R9: who holds an exclusive service, and what this server does about it now. Pure. Start reading here.

An exclusive service runs on one server at a time, its *holder*. The agents agree on it through one entry, the state of
the service: holder, candidate, previous holder, and a generation that grows by one at each change of holder.

An agent observes, calls `next_step`, carries out that one step, and observes again. No agent waits for an answer from
another one. Three things make that safe:

- Every write is a compare-and-swap (`relocd.election.writes`): a step from an outdated observation is lost, and
  harmless.
- Before an address is raised (`Activate`), `relocd.agent.liveness.lease_guard` reads the state directly: an observation
  may be old, and two servers would serve.
- After every step the state is one that the rules continue from, so an agent may crash between any two steps.

| rule | I am | the state names | I do |
|---|---|---|---|
| R1 | chosen and ready | no holder | become candidate, settle, swap myself in as holder |
| R2 | chosen, not holder | a holder, not dead | become candidate once ready, if no better one asks; else withdraw |
| R3 | holder, serving | a ready candidate, no previous holder | stop the service here, then hand over |
| R3 | holder | for a lease, a candidate that is not chosen | clear the candidate |
| R4 | holder, not serving | anything | confirm by a direct read, activate |
| R4 | holder, serving | a previous holder | delete its direct link, then clear it as previous holder |
| R5 | holder, activation has failed | anything | fail back to the previous holder; else hand over; else try again |
| R6 | holder, chosen, the service is unhealthy here | a ready candidate | hand over, also one that it outranks |
| R6 | holder, not chosen | anything | fail back; else hand over; else release, or serve on (see below) |
| R7 | not holder, something is up here | another holder | stop it at once |
| R7 | not holder, not chosen, something is up here | no holder | stop it at once |
| R8 | chosen and ready | a dead holder | become candidate, settle, delete the holder's link, swap myself in |
| R8 | candidate | a suspect holder | wait: it may turn out to be dead |
| R9 | holder, not fenced | me as candidate | clear the candidate |
| R9 | chosen, not ready, not holder | for a lease, a live holder as candidate | clear the candidate |

For a holder that is not chosen, R6 takes the place of R4, R5 and the handover of R3. "For a lease" is `waited`, which
is true only where the directory has several providers.

*Chosen* is a server that links to the service, or the active server of a cluster that does, unless it has to yield.
*Ready* is one on which the service's files are rendered and checked, and its units and addresses could be used; a
candidate is ready while it is chosen and alive. So a link to a dead, broken or failing server takes nothing away from
the server that serves. `relocd.election.observation` defines what else the rules ask about this server: `active` (I am
serving), `up`, `failed`, `settled`, `waited`, `steady`, `expired`. A *lease* is how old the heartbeat of a server may
be before the server counts as silent.

**Before all rules.** With isolation `release` a server stops the service shortly before its own lease runs out
(`expired`); with `keep` it serves on. While the state is unknown nothing else is done.

**Direct links and clusters.** A direct link outranks a cluster's: a server that is chosen only through its cluster
yields to a directly linked candidate. The other way round, it may be the candidate of a directly linked holder, in case
that one fails, but gets nothing while that one serves.

**Not chosen any more (R6).** The holder goes on serving while another server is chosen and none is ready. It releases
the service only when no server is chosen. It fails back only to a server that is chosen. A holder that has to yield
(`YieldReason`) counts as not chosen, whatever links to the service, so R6 covers it as well:

- Drained: it hands over, and serves until it can, as long as another server may run the service; else it steps down.
- Displaced: it steps down at once.
- Unhealthy: see below. It counts as chosen, but outranks no server.
- Fenced: it stops the service at once. The others take it for dead, so a ready one becomes candidate and takes over
  (R8), even where the holder is candidate already. Where no server does, the holder becomes candidate itself and steps
  down once that has settled: it gives the service away in the way in which others take it.

**After a failed activation (R5)** the service goes back to the previous holder, if that is alive and still linked or a
member of the cluster. The server that failed asks for the service again only once something has changed
(`failed_here`).

**An unhealthy service** (its checks fail, and restarting it did not help) is handed over by its holder to any ready
candidate, also to one that the holder outranks, and is not even activated while one waits. So a holder to which it was
failed back (R5) passes it on. It is never released for its health alone: without a candidate the holder serves on, or
goes on trying. A server on which it failed (`failed_here`) asks for it only while it is free: a sick service beats
none. So the service does not return to where it failed before something has changed there. Which member of a cluster is
the active one is decided by `relocd.agent.auto_failover`. `relocd.agent.health.failures` counts how often the service
moves for its health; a holder that may not move it goes by the other rules alone.

**Several providers.** Two servers may find a service free at the same moment, each at its own provider. So by R1 and R8
a server is a candidate first, and the candidacy settles until the providers have met. A holder that was silent for a
lease gives nothing away, and activates nothing, until it is `steady`: others may have found it dead and be taking the
service at another provider.

Two providers that take writes within the same milliseconds may end with different values of one state entry. Both
copies may have the same entryCSN, so replication finds no difference and never repairs it (seen with OpenLDAP 2.5). Two
rules make up for that. A candidate that is also the holder counts as no candidate, for every server but a fenced
holder. And a server that has waited a lease for another one (`waited`) writes its candidacy again. By then the other
writes are long over, so replication brings this one to every provider, where it replaces what is there. It does so also
in place of a candidate that publishes that the service has failed there: that has withdrawn, at another provider.

While two providers do not replicate, two servers may be holder, each at its own one, and delete each other's link (R4,
R8). Replication then brings both deletions, and no server is chosen although no person wanted that. So a holder that
has seen another server delete its link (`orphaned`) does not release the service for that: it serves on.

Whether a server is dead is judged by `relocd.agent.liveness.failure_detector`, only for the servers that `watched`
names. `relocd.agent.handover.controller` carries the steps out; `tests/simulation` runs the rules in random schedules.
"""

from __future__ import annotations

from dataclasses import replace

from relocd.election.observation import Eligible, Life, LocalState, Observation, State, YieldReason
from relocd.election.steps import (
    Activate,
    BecomeCandidate,
    ClearCandidate,
    ClearPrevious,
    DeleteLink,
    FailBack,
    HandOver,
    Keep,
    Release,
    Relinquish,
    Rule,
    Step,
    StepDown,
    Stop,
    SwapIn,
    Withdraw,
)
from relocd.model.entries import EntryUUID

__all__ = ["next_step", "watched"]


def next_step(seen: Observation, local: LocalState) -> Step:
    """The one step that this server takes now, with its rule and reason; `Keep` when nothing is due or known."""
    state = seen.state
    if local.up and local.expired:
        return Stop("its own lease has run out")
    if state is None:
        return Keep("the state is unknown")
    if local.yield_reason is YieldReason.UNHEALTHY and not _may_move(seen, state):
        local = replace(local, yield_reason=None)
    if state.holder != seen.me:
        return _as_other(seen, state, local)
    if local.yield_reason not in {None, YieldReason.UNHEALTHY}:
        seen = replace(seen, eligible=_without(seen.eligible, seen.me))
    step = _as_holder(seen, state, local)
    return step if local.steady else _kept_until_steady(step, local)


def watched(seen: Observation, local: LocalState) -> frozenset[EntryUUID]:
    """The other servers whose life the next step depends on; none for a holder that has not tried to serve yet."""
    state = seen.state
    if state is None or (state.holder is None and state.candidate is None):
        return frozenset()
    trying = state.holder == seen.me and seen.me in seen.eligible.all and not (local.active or local.failed)
    if trying and local.yield_reason is None:
        return frozenset()
    named = (state.holder, state.candidate, state.previous)
    return frozenset(server for server in named if server is not None and server != seen.me)


def _as_holder(seen: Observation, state: State, local: LocalState) -> Step:
    if state.candidate == seen.me and local.yield_reason is not YieldReason.FENCED:
        return ClearCandidate("the holder needs no candidacy", rule=Rule.R9)
    if local.waited and state.asking is not None and state.asking not in seen.eligible.all:
        return ClearCandidate("the candidate is not chosen, and has not withdrawn", rule=Rule.R3)
    if seen.me not in seen.eligible.all:
        return _unchosen_holder(seen, state, local)
    to = _successor(seen, state)
    unhealthy = local.yield_reason is YieldReason.UNHEALTHY
    if unhealthy and to is not None and (state.previous is None or not local.active):
        return HandOver(state, to, "unhealthy, and a candidate is ready", rule=Rule.R6)
    if not local.active:
        return _inactive_holder(seen, state, local)
    if state.previous is not None:
        return _clean_up(seen, state.previous, local)
    if to is not None and not _outranks(seen, seen.me, to):
        return HandOver(state, to, "a candidate is ready", rule=Rule.R3)
    if unhealthy:
        return Keep("unhealthy, but keeps serving until another is ready", rule=Rule.R6)
    return Keep("holds and serves", rule=Rule.R3)


def _may_move(seen: Observation, state: State) -> bool:
    """Whether this server may hand an unhealthy service over: it is the holder, and chosen; else other rules apply."""
    return state.holder == seen.me and seen.me in seen.eligible.all


def _kept_until_steady(step: Step, local: LocalState) -> Step:
    """The step of a holder that is not steady: another server may be taking the service, so it gives nothing away."""
    if not isinstance(step, Relinquish):
        return step
    if local.up and isinstance(step, StepDown):
        return Stop(step.reason, rule=step.rule)
    return Keep("waits until its own heartbeat is steady again", rule=step.rule)


def _inactive_holder(seen: Observation, state: State, local: LocalState) -> Step:
    if not local.steady:
        return Keep("waits until its own heartbeat is steady again", rule=Rule.R5 if local.failed else Rule.R4)
    if not local.failed:
        return Activate(state.generation, "is the holder", rule=Rule.R4)
    if _can_take_back(seen, state.previous):
        return FailBack(state, _named(state.previous), "it could not be activated here", rule=Rule.R5)
    to = _successor(seen, state)
    if to is not None:
        return HandOver(state, to, "it could not be activated here, and a candidate is ready", rule=Rule.R5)
    again = "could not be activated, and no other server can take it: trying again"
    return Activate(state.generation, again, rule=Rule.R5)


def _unchosen_holder(seen: Observation, state: State, local: LocalState) -> Step:
    if local.yield_reason is YieldReason.FENCED:
        return _fenced_holder(seen, state, local)
    if local.yield_reason is YieldReason.DISPLACED:
        return StepDown(state, "displaced here", rule=Rule.R6)
    if _can_take_back(seen, state.previous) and state.previous in seen.eligible.all:
        why = "not chosen any more, and the previous holder waits"
        return FailBack(state, _named(state.previous), why, rule=Rule.R6)
    to = _successor(seen, state)
    if to is not None:
        return HandOver(state, to, f"{_unchosen(local)}, and a candidate is ready", rule=Rule.R6)
    if not seen.eligible.all and local.yield_reason is None and not local.orphaned:
        return Release(state, "no server is chosen any more", rule=Rule.R6)
    if not seen.eligible.all and not seen.eligible.standby and local.yield_reason is not None:
        return StepDown(state, f"{_unchosen(local)}, and no other server may run it", rule=Rule.R6)
    if not local.active and local.steady:
        return Activate(state.generation, f"{_unchosen(local)}, but no other is ready", rule=Rule.R6)
    if not seen.eligible.all and local.orphaned:
        return Keep("serves on: servers, and no person, deleted the last links; link a server again", rule=Rule.R6)
    return Keep(f"{_unchosen(local)}, but keeps serving until another is ready", rule=Rule.R6)


def _fenced_holder(seen: Observation, state: State, local: LocalState) -> Step:
    if local.up:
        return Stop("fenced here", rule=Rule.R6)
    if state.candidate == seen.me and local.settled:
        return StepDown(state, "fenced here", rule=Rule.R6)
    if state.candidate == seen.me:
        return Keep("fenced here: settling before it steps down", rule=Rule.R6)
    if _is_ready(seen, state.candidate):
        return Keep("fenced here: the candidate takes over", rule=Rule.R6)
    return BecomeCandidate(state, seen.me, "fenced here: about to step down", rule=Rule.R6)


def _unchosen(local: LocalState) -> str:
    return "not chosen any more" if local.yield_reason is None else str(local.yield_reason)


def _clean_up(seen: Observation, previous: EntryUUID, local: LocalState) -> Step:
    """The step once the service runs here; a link that was deleted before and is there again is a new order."""
    if previous in seen.eligible.direct and previous != seen.me and not local.unlinked:
        return DeleteLink(previous, "the service runs here now", rule=Rule.R4)
    return ClearPrevious(previous, "the service runs here now", rule=Rule.R4)


def _as_other(seen: Observation, state: State, local: LocalState) -> Step:
    if local.up and state.holder is not None:
        return Stop("another server is the holder", rule=Rule.R7)
    if _is_also_candidate(seen, state, local) and local.waited and not local.ready:
        return ClearCandidate("the holder needs no candidacy", rule=Rule.R9)
    if not (_is_chosen(seen, local) and local.ready):
        return _unfit(seen, state, local)
    rule = _claim_rule(seen, state)
    free = rule is not Rule.R2
    if not free and state.previous == seen.me and not local.waited:
        return Keep("the previous holder waits for the new one", rule=rule)
    if not free and local.failed_here:
        asked = state.candidate == seen.me
        return Withdraw("failed here", rule=rule) if asked else Keep("failed here, and nothing has changed", rule=rule)
    if state.candidate == seen.me:
        return _as_candidate(seen, state, local, rule)
    if not _is_ready(seen, state.asking) or _outranks(seen, seen.me, state.asking):
        return BecomeCandidate(state, seen.me, _vacancy(state) if free else "ready to take over", rule=rule)
    if local.waited and (free or state.asking in seen.failed):
        why = f"{_vacancy(state)}, and the candidate does not take it" if free else "it has failed on the candidate"
        return BecomeCandidate(state, seen.me, why, rule=rule)
    return Keep("another candidate waits", rule=rule)


def _is_chosen(seen: Observation, local: LocalState) -> bool:
    """Whether this server, which is not the holder, is chosen and does not have to yield."""
    return seen.me in seen.eligible.all and local.yield_reason is None


def _unfit(seen: Observation, state: State, local: LocalState) -> Step:
    """The step of a server that is not chosen or not ready; there is no rule for one that is not linked."""
    wanted = _is_chosen(seen, local)
    unchosen = "not chosen" if local.yield_reason is None else str(local.yield_reason)
    why = "not ready" if wanted else unchosen
    if state.candidate == seen.me:
        return Withdraw(why, rule=Rule.R2)
    if local.up and not wanted:
        return Stop(f"no holder, and {unchosen}", rule=Rule.R7)
    return Keep(why, rule=_claim_rule(seen, state) if seen.me in seen.eligible.all else None)


def _claim_rule(seen: Observation, state: State) -> Rule:
    """The rule by which this server, which is not the holder, comes to the service; by R1 and R8 it is free."""
    if state.holder is None:
        return Rule.R1
    return Rule.R8 if seen.life(state.holder) is Life.DEAD else Rule.R2


def _as_candidate(seen: Observation, state: State, local: LocalState, rule: Rule) -> Step:
    if rule is Rule.R2:
        return _waiting_candidate(seen, state, local)
    if not local.settled:
        return Keep("candidate: settling before the takeover", rule=rule)
    if state.holder in seen.eligible.direct:
        return DeleteLink(_named(state.holder), "its server is dead", rule=rule)
    return SwapIn(state, seen.me, _vacancy(state), rule=rule)


def _waiting_candidate(seen: Observation, state: State, local: LocalState) -> Step:
    """The step of the candidate while the holder is not dead; a suspect holder may turn out to be (R8)."""
    rule = Rule.R8 if seen.life(_named(state.holder)) is Life.SUSPECT else Rule.R2
    if local.waited:
        again = "still ready to take over: the holder's provider may not have been told"
        return BecomeCandidate(state, seen.me, again, rule=rule)
    return Keep("candidate: the holder will let go", rule=rule)


def _vacancy(state: State) -> str:
    """Why a service is free."""
    return "no holder" if state.holder is None else "the holder is dead"


def _successor(seen: Observation, state: State) -> EntryUUID | None:
    """The candidate that the holder may hand over to: a ready one, while no previous holder still waits."""
    waiting = state.previous in seen.eligible.all and seen.life(_named(state.previous)) is not Life.DEAD
    return None if waiting or not _is_ready(seen, state.asking) else state.asking


def _is_also_candidate(seen: Observation, state: State, local: LocalState) -> bool:
    """Whether a live holder, so one that is not fenced, is the candidate as well; a chosen server may clear that."""
    held = state.holder is not None and state.candidate == state.holder
    return held and _is_chosen(seen, local) and seen.life(_named(state.holder)) is Life.ALIVE


def _is_ready(seen: Observation, candidate: EntryUUID | None) -> bool:
    """Whether there is a candidate that is chosen and alive; only a ready server makes itself candidate."""
    return candidate is not None and candidate in seen.eligible.all and seen.life(candidate) is Life.ALIVE


def _outranks(seen: Observation, server: EntryUUID, other: EntryUUID | None) -> bool:
    """Whether a server is linked directly and the other one is not."""
    return server in seen.eligible.direct and other not in seen.eligible.direct


def _can_take_back(seen: Observation, previous: EntryUUID | None) -> bool:
    """Whether the previous holder is alive and may take the service back."""
    there = seen.eligible.all | seen.eligible.standby
    return previous is not None and previous in there and seen.life(previous) is Life.ALIVE


def _without(eligible: Eligible, server: EntryUUID) -> Eligible:
    """Who may run the service when `server` yields; members stand by only for the active server of their cluster."""
    standby = eligible.standby if server in eligible.by_cluster else frozenset()
    return Eligible(eligible.direct - {server}, eligible.by_cluster - {server}, standby)


def _named(server: EntryUUID | None) -> EntryUUID:
    if server is None:
        raise ValueError("a rule named a server that the state does not have")
    return server
