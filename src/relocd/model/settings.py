"""The agent's settings as values; `relocd.agent.configuration` reads them from TOML. Durations carry their unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = [
    "DEFAULT_CONFIG",
    "LOCK_NAME",
    "MODE_NAME",
    "STATUS_NAME",
    "AgentSettings",
    "DirectorySettings",
    "GuardSettings",
    "HandoverSettings",
    "LogFormat",
    "MetricsSettings",
    "PathSettings",
    "ScriptUnit",
    "ServerSettings",
    "Settings",
    "UnitSettings",
    "WireSettings",
]

LogFormat = Literal["auto", "text", "json", "journal"]
"""How the agent logs; `auto`: to the journal where systemd has connected standard error with it, else text."""
DEFAULT_CONFIG: Final = "/etc/relocd/relocd.toml"
STATUS_NAME: Final = "status.json"
"""The agent's status, in the folder of the running system."""
MODE_NAME: Final = "mode"
"""What a person has told the agent, beside its status."""
LOCK_NAME: Final = "lock"
"""The lock that a running agent holds, beside its status."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """`[server]`: which entry of the directory is this machine.

    `dn` is the entry of class relocServer; `template_sets` are sets of scope `server` applied whatever is linked.
    """

    dn: str
    template_sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """`[directory]`: how to reach the directory.

    `uris` are tried in order (`ldap://`, `ldaps://`, `ldapi://`), the search is rooted at `base`. `bind` is
    `anonymous`, `simple` (`bind_dn` and the first line of `password_file`) or `external` (SASL EXTERNAL: the peer
    credentials of ldapi, or the client certificate in `cert_file` and `key_file`). `starttls` protects `ldap://`;
    `ca_file` is what the server's certificate is checked against. `connect_timeout_s` limits the making of a
    connection, `operation_timeout_s` each bind, read and write, `silence_timeout_s` how long sent data may stay
    unacknowledged before the connection counts as dead. Retries wait from `retry_min_s` to `retry_max_s`.
    """

    uris: tuple[str, ...]
    base: str
    bind: Literal["anonymous", "simple", "external"] = "anonymous"
    bind_dn: str = ""
    password_file: str = ""
    starttls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    connect_timeout_s: float = 3.0
    operation_timeout_s: float = 5.0
    silence_timeout_s: float = 10.0
    retry_min_s: float = 0.1
    retry_max_s: float = 10.0


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """`[guards]`: what this server lets the directory and the template sets do; nothing is allowed by default.

    `networks` in which a service address must lie, `units` as shell patterns of unit names, `folders` below which
    a file's target must lie.
    """

    networks: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PathSettings:
    """`[paths]`: where things are on this server.

    `template_sets` are folders in order of preference, before the sets shipped with relocd. The ledger and the
    cache that survive a boot are in `state`, the records of the running system in `run`.
    """

    template_sets: tuple[str, ...] = ("/etc/relocd/template-sets",)
    state: str = "/var/lib/relocd"
    run: str = "/run/relocd"


@dataclass(frozen=True, slots=True)
class WireSettings:
    """`[wire]`: asking for and announcing addresses.

    `probes` are asked `probe_interval_ms` apart before an exclusive service's address is raised (0: none).
    Announcements are repeated `announce_burst` times and then every `announce_refresh_s` (0: never).
    """

    probes: int = 3
    probe_interval_ms: float = 20.0
    announce_burst: int = 5
    announce_refresh_s: float = 60.0


@dataclass(frozen=True, slots=True)
class ScriptUnit:
    """`[units.script.NAME]`: the argument lists that stand for a unit where there is no systemd.

    `status` exits 0 while the unit runs; one without it runs from a start that succeeded to a stop that did. Without
    `reload` a reload is a restart.
    """

    start: tuple[str, ...]
    stop: tuple[str, ...]
    status: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitSettings:
    """`[units]`: the service manager, the time a start or stop may take, and how often `script` units are asked."""

    manager: Literal["systemd", "script"] = "systemd"
    timeout_s: float = 60.0
    poll_s: float = 5.0
    script: Mapping[str, ScriptUnit] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HandoverSettings:
    """`[handover]`: how the servers agree on who runs an exclusive service.

    A server whose heartbeat is older than `lease_s` is silent; it writes one four times in that time. Give every server
    the same. With more than one provider of the directory a candidacy stands for `settle_ms` before a takeover, so that
    the providers have met.
    """

    lease_s: float = 10.0
    settle_ms: float = 100.0

    @property
    def beat_s(self) -> float:
        """The time between two heartbeats."""
        return self.lease_s / 4

    @property
    def hesitation_s(self) -> float:
        """How long what was read allows an act that follows from it."""
        return self.lease_s / 4

    @property
    def prompt_s(self) -> float:
        """How old a death may be when the takeover is sent, and how long that, or any write, may be on its way."""
        return self.lease_s / 8

    @property
    def steady_s(self) -> float:
        """How long a heartbeat stands again before its server acts as a holder.

        A takeover that began before is in the directory by then, and has come to this server's provider.
        """
        return self.lease_s / 2


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """`[agent]`: the pace of the agent.

    `settle_ms` is the least time between two convergences of one service (the first is immediate). What failed is
    tried again after `retry_min_s`, doubling up to `retry_max_s`. A template may take `render_timeout_s`. About
    `spare_mib` of memory hold entries of the directory that do not concern this server yet, so that they are here
    when they do. The agent's own threads run at `realtime_priority` (1 to 99, 0 for ordinary scheduling).
    It logs from `log_level` on, as `log_format` says.
    """

    settle_ms: float = 100.0
    retry_min_s: float = 1.0
    retry_max_s: float = 60.0
    render_timeout_s: float = 2.0
    spare_mib: float = 8.0
    realtime_priority: int = 1
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: LogFormat = "auto"


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """`[metrics]`: figures for Prometheus. `listen` is `HOST:PORT` for their HTTP server, empty for none."""

    listen: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration file."""

    server: ServerSettings
    directory: DirectorySettings
    guards: GuardSettings = GuardSettings()
    paths: PathSettings = PathSettings()
    wire: WireSettings = WireSettings()
    units: UnitSettings = field(default_factory=UnitSettings)
    handover: HandoverSettings = HandoverSettings()
    agent: AgentSettings = AgentSettings()
    metrics: MetricsSettings = MetricsSettings()
