"""What has to happen for a service to come to a server: a kind with the names that it is about, and its sentence. Pure.

docs/findings.md lists the kinds. Who finds them: `what_if` and `explain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from relocd.operator.change.obstacle import Proof, proof_sentence

__all__ = ["Need", "NeedKind", "as_json"]


class NeedKind(StrEnum):
    """What has to happen."""

    AGENT_HEARD = "agent-heard"
    UNFENCE = "unfence"
    RESUME = "resume"
    DISPLACING_LEAVES = "displacing-leaves"
    PROBLEMS_SOLVED = "problems-solved"
    RETRY = "retry"
    SERVER_HEALTHY = "server-healthy"
    MOVE = "move"
    DIRECT_LINK_GONE = "direct-link-gone"
    HOLDER_DEAD = "holder-dead"
    REPORTED = "reported"


_SENTENCES: Final[Mapping[NeedKind, str]] = {
    NeedKind.AGENT_HEARD: "the agent of {server} is heard again",
    NeedKind.UNFENCE: "relocd unfence {server}",
    NeedKind.RESUME: "relocd resume on {server}",
    NeedKind.DISPLACING_LEAVES: "{detail}, which displaces it, leaves {server}",
    NeedKind.PROBLEMS_SOLVED: "solved: {detail}",
    NeedKind.RETRY: "relocd retry {service} on {server}",
    NeedKind.SERVER_HEALTHY: "the health checks of the server {server} pass",
    NeedKind.MOVE: "relocd move {service} {server}",
    NeedKind.DIRECT_LINK_GONE: "the direct link of {server}, which outranks the cluster, goes",
    NeedKind.HOLDER_DEAD: "{proof}",
    NeedKind.REPORTED: "{detail}",
}


@dataclass(frozen=True, slots=True)
class Need:
    """What has to happen; as text a clause.

    `detail` names a service, or is the problem or reason that the agent of the server reports. One of the `proofs` that
    a holder is dead is enough.
    """

    kind: NeedKind
    server: str
    service: str
    detail: str = ""
    proofs: tuple[Proof, ...] = ()

    def __str__(self) -> str:
        proof = proof_sentence(self.proofs, self.server, self.service)
        return _SENTENCES[self.kind].format(**asdict(self), proof=proof)


def as_json(need: Need) -> dict[str, Any]:
    """The need as JSON values."""
    return {"kind": need.kind, "server": need.server, "proofs": list(need.proofs), "what": str(need)}
