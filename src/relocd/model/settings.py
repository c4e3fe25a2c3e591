"""The agent's settings as values; `relocd.config.configuration` reads them from TOML. Durations carry their unit.

A class is a table. Its first line says what the table is for; the annotation of a key says what the key means. The
manual page relocd.toml(5) is made of both, and a test compares docs/configuration.md with them. Neighbouring keys may
share an annotation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

__all__ = [
    "DEFAULT_CONFIG",
    "LOCK_NAME",
    "LONGEST_LEASE_S",
    "LONGEST_S",
    "MODE_NAME",
    "STATUS_NAME",
    "AgentSettings",
    "DirectorySettings",
    "GuardSettings",
    "HandoverSettings",
    "LogFormat",
    "MetricsSettings",
    "NotifySettings",
    "PathSettings",
    "RETRY_NAME",
    "ScriptUnit",
    "ServerCheck",
    "ServerSettings",
    "Settings",
    "UnitSettings",
    "WireSettings",
]

LogFormat = Literal["auto", "text", "json", "journal"]
"""How the agent logs; `auto`: to the journal where systemd has connected standard error with it, else text."""
DEFAULT_CONFIG: Final = "/etc/relocd/relocd.toml"
LONGEST_LEASE_S: Final = 86400.0
"""A longer lease is ignored: a day."""
STATUS_NAME: Final = "status.json"
"""The agent's status, in the folder of the running system."""
MODE_NAME: Final = "mode"
"""The mode that an administrator has set, beside the status."""
RETRY_NAME: Final = "retry"
"""The folder with the services that an administrator has ordered to be tried again, beside the status."""
LONGEST_S: Final = 86_400
"""The longest time that any limit or pause may have, in seconds: a day."""
LOCK_NAME: Final = "lock"
"""The lock that a running agent holds, beside its status."""


_Pause = Annotated[float, "the pause between attempts to connect; it grows and has jitter"]
_Retry = Annotated[float, "the pause before something that failed is tried again; it doubles"]
_Identity = Annotated[
    str,
    'for `"simple"`. The password is the first line of the file; others must not be able to read the file',
]
_Certificate = Annotated[str, "the client certificate"]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """`[server]`: which entry of the directory is this machine."""

    dn: Annotated[str, "the entry of class `relocServer`"]
    template_sets: Annotated[tuple[str, ...], "template sets of scope `server` that are always applied here"] = ()


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """`[directory]`: how to reach the directory."""

    uris: Annotated[tuple[str, ...], "tried in order: `ldap://`, `ldaps://`, `ldapi://`"]
    base: Annotated[str, "the entry below which relocd's entries are"]
    bind: Annotated[
        Literal["anonymous", "simple", "external"],
        '`"simple"`: with a password; `"external"`: by the peer credentials of ldapi or the client certificate. '
        '`"anonymous"` reads nothing with the shipped access rules',
    ] = "anonymous"
    bind_dn: _Identity = ""
    password_file: _Identity = ""
    starttls: Annotated[bool, "protect `ldap://` by StartTLS"] = False
    ca_file: Annotated[
        str, "the authorities for the directory's certificate; empty: those of ldap.conf, or the system's"
    ] = ""
    cert_file: _Certificate = ""
    key_file: _Certificate = ""
    connect_timeout_s: Annotated[float, "for making a connection"] = 3.0
    operation_timeout_s: Annotated[float, "for each bind, read and write"] = 5.0
    silence_timeout_s: Annotated[
        float, "after so long without a message the agent sends a request; without an answer it connects again"
    ] = 10.0
    retry_min_s: _Pause = 0.1
    retry_max_s: _Pause = 10.0


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """`[guards]`: what this server lets the directory and the template sets do; nothing by default."""

    networks: Annotated[tuple[str, ...], "service addresses must be in these networks"] = ()
    units: Annotated[tuple[str, ...], "shell patterns of the units that may be started and stopped"] = ()
    folders: Annotated[tuple[str, ...], "files may be written below these folders"] = ()


@dataclass(frozen=True, slots=True)
class PathSettings:
    """`[paths]`: where things are on this server. What is in `state` outlives a boot, what is in `run` does not."""

    template_sets: Annotated[tuple[str, ...], "folders with template sets, in order; the shipped sets come last"] = (
        "/etc/relocd/template-sets",
    )
    state: Annotated[str, "the ledger and the cache"] = "/var/lib/relocd"
    run: Annotated[str, "the status, the lock, the record of addresses"] = "/run/relocd"


@dataclass(frozen=True, slots=True)
class WireSettings:
    """`[wire]`: asking for and announcing addresses."""

    probes: Annotated[
        int, "how often the agent asks for an address before it raises it for an exclusive service; 0: never"
    ] = 3
    probe_interval_ms: Annotated[float, "between two of these questions"] = 20.0
    announce_burst: Annotated[int, "announcements after an address was raised"] = 5
    announce_refresh_s: Annotated[float, "the interval of further announcements; 0: none"] = 60.0


@dataclass(frozen=True, slots=True)
class ScriptUnit:
    """`[units.script.NAME]`: the argument lists that stand for a unit where there is no systemd."""

    start: tuple[str, ...]
    stop: tuple[str, ...]
    status: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitSettings:
    """`[units]`: the service manager."""

    manager: Annotated[Literal["systemd", "script"], '`"script"`: for hosts and containers without systemd'] = "systemd"
    timeout_s: Annotated[float, "for each start, stop and reload"] = 60.0
    poll_s: Annotated[float, "how often `script` units are asked for their status"] = 5.0
    script: Annotated[
        Mapping[str, ScriptUnit],
        "the commands for the unit NAME, as argument lists. `status` exits with 0 while it runs. Without `status` it "
        "counts as running from a successful `start` to a successful `stop`; without `reload` it is restarted",
    ] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HandoverSettings:
    """`[handover]`: how servers agree on who runs an exclusive service; give every server the same."""

    lease_s: Annotated[
        float,
        "a server whose heartbeat is older is silent. Four heartbeats are written in that time. Of two servers with "
        "different values the longer counts",
    ] = 10.0
    settle_ms: Annotated[
        float,
        "how long a server stays candidate before it takes a free service, if several directory servers take writes "
        "(server IDs in the change numbers show that)",
    ] = 100.0
    max_health_moves: Annotated[
        int, "how often a service moves for its health within ten minutes, at most; then it stays where it is. 0: never"
    ] = 3
    health_retry_s: Annotated[
        float,
        "after a service has failed on a server by its health, that server does not ask for it again for so long, "
        "unless something changes or `relocd retry` is ordered",
    ] = 600.0

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
    """`[agent]`: the pace of the agent."""

    settle_ms: Annotated[
        float,
        "how long the agent collects further changes of a service after it has applied one. The first applies at once",
    ] = 100.0
    retry_min_s: _Retry = 1.0
    retry_max_s: _Retry = 60.0
    render_timeout_s: Annotated[
        float, "processor time that a template may take; waiting for a busy machine does not count"
    ] = 2.0
    spare_mib: Annotated[
        float,
        "memory for copies of entries that do not concern this server yet; when they do, they need not be read first",
    ] = 8.0
    realtime_priority: Annotated[int, "real-time scheduling of the agent's own threads, 1 to 99; 0: none"] = 1
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        'or `"debug"`, `"warning"`, `"error"`',
    ] = "info"
    log_format: Annotated[
        LogFormat,
        '`"text"` or `"json"`: lines on standard error; `"journal"`: records in systemd\'s journal; '
        '`"auto"`: the journal if systemd has connected standard error with it, else text',
    ] = "auto"


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """`[metrics]`: figures for Prometheus."""

    listen: Annotated[str, '`HOST:PORT` of the HTTP server, such as `"127.0.0.1:9815"`; empty: none'] = ""


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """`[notify]`: who is told what happens on this server."""

    command: Annotated[
        tuple[str, ...], "a program with its arguments, by its absolute path; each event is JSON on its standard input"
    ] = ()
    webhook: Annotated[str, "a URL, `https://` or `http://`; each event is posted there as JSON"] = ""
    events: Annotated[
        tuple[Literal["holder", "unhealthy", "recovered", "waiting", "problem"], ...],
        "which events are told; all by default",
    ] = ("holder", "unhealthy", "recovered", "waiting", "problem")
    timeout_s: Annotated[float, "for each attempt"] = 10.0
    ca_file: Annotated[str, "the authorities for the webhook's certificate; empty: the system's"] = ""


@dataclass(frozen=True, slots=True)
class ServerCheck:
    """`[[health]]`: a check of the whole server; any number, each with one of the first three keys."""

    interface: Annotated[str, "the interface must have a carrier"] = ""
    ping: Annotated[str, "this address, such as the gateway's, must answer ARP or neighbour discovery"] = ""
    command: Annotated[tuple[str, ...], "this program must end with 0; an argument list, no shell"] = ()
    interval_s: Annotated[float, "the time from one check to the next"] = 2.0
    timeout_s: Annotated[float, "a check that takes longer has failed"] = 1.0
    fall: Annotated[int, "failures in a row until every service counts as failed on this server"] = 3
    rise: Annotated[int, "successes in a row until this server counts as healthy again"] = 2
    start_s: Annotated[
        float, "from the start of the agent, failures do not count for so long, or until the first success"
    ] = 10.0


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
    notify: NotifySettings = NotifySettings()
    health: tuple[ServerCheck, ...] = ()
