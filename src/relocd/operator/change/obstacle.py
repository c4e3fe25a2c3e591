"""What refuses, prevents or delays an order: a kind with the names that it is about, and its sentence. Pure.

docs/findings.md lists the kinds. Who finds them: `preflight`, `changes` and `failover`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from relocd.operator.status.health import silence

__all__ = ["Obstacle", "ObstacleKind", "Proof", "as_json", "proof_sentence"]


class Proof(StrEnum):
    """What proves to the agents, besides its silence, that a server is dead (`agent.liveness.failure_detector`)."""

    LEASE_WATCHED = "lease-watched"
    ADDRESSES_SILENT = "addresses-silent"
    FENCED = "fenced"
    NAMED_NO_MORE = "named-no-more"


_PROOFS: Final[Mapping[Proof, str]] = {
    Proof.LEASE_WATCHED: "{server} has been silent for its lease while they watched",
    Proof.ADDRESSES_SILENT: "the addresses of {service} do not answer either",
    Proof.FENCED: "relocd fence {server} confirms that it is powered off",
    Proof.NAMED_NO_MORE: "{server} has an entry again, or the state no longer names it",
}


class ObstacleKind(StrEnum):
    """Why an order is refused; from `TARGET_SILENT` on what only delays it, with a warning."""

    TARGET_FENCED = "target-fenced"
    TARGET_MODE = "target-mode"
    SERVICE_SHARED = "service-shared"
    SERVICE_EXTERNAL = "service-external"
    MOVES_WITH_OTHERS = "moves-with-others"
    NOT_A_MEMBER = "not-a-member"
    TARGET_SILENT = "target-silent"
    TARGET_PROBLEM = "target-problem"
    DISPLACED = "displaced"
    OTHER_CANDIDATE = "other-candidate"
    STATE_UNKNOWN = "state-unknown"
    HOLDER_SILENT = "holder-silent"
    HOLDER_PAUSED = "holder-paused"
    HOLDER_WITHOUT_ENTRY = "holder-without-entry"
    FALLS_BACK = "falls-back"
    LOST_SILENT = "lost-silent"
    FENCED_ALIVE = "fenced-alive"


_SENTENCES: Final[Mapping[ObstacleKind, str]] = {
    ObstacleKind.TARGET_FENCED: (
        "{server} is fenced, so it counts as powered off; if it is not: relocd unfence {server}"
    ),
    ObstacleKind.TARGET_MODE: "{server} is {detail} and takes over nothing; run on that server: relocd resume",
    ObstacleKind.SERVICE_SHARED: (
        "{service} is shared and runs on every server that is linked to it; use relocd link and relocd unlink"
    ),
    ObstacleKind.SERVICE_EXTERNAL: (
        "{service} belongs to the cluster manager of {cluster} (relocFailover: external); move it there"
    ),
    ObstacleKind.MOVES_WITH_OTHERS: (
        "{service} moves with its cluster, and {detail} would move with it; "
        "to move all of them: relocd activate {cluster} {server}"
    ),
    ObstacleKind.NOT_A_MEMBER: (
        "{server} is not a member of {cluster}; add {cluster} as relocClusterLink of the server first"
    ),
    ObstacleKind.TARGET_SILENT: (
        "{silence}: it takes over nothing until its agent runs, and the present holder keeps serving"
    ),
    ObstacleKind.TARGET_PROBLEM: "{server} reports of {service}: {detail}",
    ObstacleKind.DISPLACED: "{service} stays stopped on {server} while {detail} displaces it there",
    ObstacleKind.OTHER_CANDIDATE: "{server} is candidate for {service}, too; they take over one after the other",
    ObstacleKind.STATE_UNKNOWN: (
        "the state of {service} cannot be understood, so no agent acts on it; see relocd show"
    ),
    ObstacleKind.HOLDER_SILENT: "the holder {silence}: others take over when {proof}",
    ObstacleKind.HOLDER_PAUSED: (
        "the holder {server} is paused and hands nothing over; run on that server: relocd resume"
    ),
    ObstacleKind.HOLDER_WITHOUT_ENTRY: "the holder {server} has no entry: others take over when {proof}",
    ObstacleKind.FALLS_BACK: (
        "{server} stays active in {cluster} only until {detail}, which is preferred, has been ready for {seconds:g} s "
        "(relocFailback); to keep it here for longer, drain the other server"
    ),
    ObstacleKind.LOST_SILENT: (
        "{silence}: other servers take over once its addresses stop answering, too; "
        "if it is powered off: relocd fence {server}"
    ),
    ObstacleKind.FENCED_ALIVE: "{heard}: if it is not powered off, two servers will answer",
}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What refuses, prevents or delays an order; as text its sentence.

    `seconds` is the age of the server's last heartbeat, None where there is none. `detail` names other services, is the
    mode of the server, or a problem as its agent reports it. `proofs` are those that the agents wait for.
    """

    kind: ObstacleKind
    server: str = ""
    service: str = ""
    cluster: str = ""
    seconds: float | None = None
    lease_s: float | None = None
    detail: str = ""
    proofs: tuple[Proof, ...] = ()

    def __str__(self) -> str:
        return _SENTENCES[self.kind].format(
            **asdict(self),
            silence=silence(self.server, self.seconds, self.lease_s),
            heard=self._heard,
            proof=proof_sentence(self.proofs, self.server, self.service),
        )

    @property
    def _heard(self) -> str:
        """When the server was heard, as the beginning of a sentence."""
        if self.seconds is None or self.seconds < -(self.lease_s or 0):
            return silence(self.server, self.seconds, self.lease_s)
        return f"{self.server} was heard {self.seconds:.1f} s ago"


def proof_sentence(proofs: tuple[Proof, ...], server: str, service: str) -> str:
    """Any of the proofs, as a clause."""
    return ", or ".join(_PROOFS[each].format(server=server, service=service) for each in proofs)


def as_json(obstacle: Obstacle) -> dict[str, Any]:
    """The obstacle as JSON values."""
    return {
        "kind": obstacle.kind,
        "server": obstacle.server or None,
        "service": obstacle.service or None,
        "cluster": obstacle.cluster or None,
        "seconds": None if obstacle.seconds is None else round(obstacle.seconds, 3),
        "proofs": list(obstacle.proofs),
        "what": str(obstacle),
    }
