"""The names of relocd's attributes, object classes and fixed RDNs, each once.

What an attribute means and which syntax it has is defined in `relocd.schema.definitions`. A directory compares these
names without regard to case; `Entry.attributes` has them in lower case.
"""

from __future__ import annotations

from typing import Final

# Of a server.
SERVICE_LINK: Final = "relocServiceLink"
CLUSTER_LINK: Final = "relocClusterLink"
FENCED: Final = "relocFenced"

# Of a cluster, which has service links as well.
ACTIVE: Final = "relocActive"
FAILOVER: Final = "relocFailover"
PREFERRED: Final = "relocPreferred"
FAILBACK: Final = "relocFailback"

# Of a service.
ADDRESS: Final = "relocAddress"
INTERFACE: Final = "relocInterface"
TEMPLATE_SET: Final = "relocTemplateSet"
PARAMETER: Final = "relocParameter"
SECRET: Final = "relocSecret"  # noqa: S105
EXCLUSIVE: Final = "relocExclusive"
ISOLATION: Final = "relocIsolation"
DISPLACES: Final = "relocDisplaces"

# Of the state of an exclusive service.
HOLDER: Final = "relocHolder"
CANDIDATE: Final = "relocCandidate"
PREVIOUS: Final = "relocPrevious"
GENERATION: Final = "relocGeneration"

# Of the status of a server.
HEARTBEAT: Final = "relocHeartbeat"
LEASE: Final = "relocLease"
AGENT_VERSION: Final = "relocAgentVersion"
MODE: Final = "relocMode"
ACTIVE_SERVICE: Final = "relocActiveService"
STANDBY_SERVICE: Final = "relocStandbyService"
FAILED_SERVICE: Final = "relocFailedService"
PROBLEM: Final = "relocProblem"
ACTED_ON: Final = "relocActedOn"

# Of the history of an exclusive service.
HISTORY_RECORD: Final = "relocHistoryRecord"
LAST_CHANGE: Final = "relocLastChange"

SERVER_CLASS: Final = "relocServer"
CLUSTER_CLASS: Final = "relocCluster"
SERVICE_CLASS: Final = "relocService"
STATE_CLASS: Final = "relocServiceState"
STATUS_CLASS: Final = "relocServerStatus"
HISTORY_CLASS: Final = "relocServiceHistory"

STATE_RDN: Final = "cn=state"
"""The state of a service, below it."""
STATUS_RDN: Final = "cn=status"
"""The status of a server, below it."""
HISTORY_RDN: Final = "cn=history"
"""The history of a service, below it; no agent's search asks for it."""
