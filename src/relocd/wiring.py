"""The only place that builds adapters: settings in, a host and the ways to the directory out."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from relocd.adapters.files.files import DiskFiles
from relocd.adapters.files.replacement import owner_ids
from relocd.adapters.health.probes import NetworkProbes
from relocd.adapters.ldap.connection import check_files
from relocd.adapters.ldap.feed import LdapFeed
from relocd.adapters.ldap.history import LdapHistory
from relocd.adapters.ldap.reader import LdapReader
from relocd.adapters.ldap.writer import LdapWriter
from relocd.adapters.local.cache import FileCache
from relocd.adapters.local.journal import JournalHandler, is_journal
from relocd.adapters.local.ledger import JsonLedger
from relocd.adapters.local.notify import SystemdNotifier
from relocd.adapters.local.run_folder import JsonHeartbeatRecord, JsonStatusFile, ModeFile, sole
from relocd.adapters.local.scheduling import make_loop_urgent, make_thread_urgent
from relocd.adapters.net.addresses import NetlinkAddresses
from relocd.adapters.net.arp_nd import PacketWire
from relocd.adapters.notifications.command import CommandTarget
from relocd.adapters.templates.render_worker import syntax_error
from relocd.adapters.templates.renderer import WorkerRenderer
from relocd.adapters.templates.template_sets import FolderTemplateSets
from relocd.adapters.units.commands import ProcessCommands
from relocd.adapters.units.script_units import ScriptUnits
from relocd.adapters.units.systemd import SystemdUnits
from relocd.agent.agent import Agent, DirectoryPorts, Outlets
from relocd.agent.convergence.host import UNMEASURED, Host
from relocd.agent.logs import Said, stream_handler
from relocd.config.toml_lines import KeyPath
from relocd.errors import Invalid, RelocdError
from relocd.model.dn import DN
from relocd.model.host import Interface
from relocd.model.parse import search_filter
from relocd.model.settings import MODE_NAME, STATUS_NAME, DirectorySettings, LogFormat, NotifySettings, Settings
from relocd.model.template_set import TemplateSet
from relocd.ports.host import Units
from relocd.ports.reports import Meter, NotifyTarget
from relocd.reconcile.guards import guards
from relocd.shipped import shipped_template_sets

__all__ = [
    "FolderTemplateSets",
    "Parts",
    "check_templates",
    "connected",
    "has_program",
    "interfaces",
    "log_handler",
    "notify_targets",
    "owner_ids",
    "running_agent",
    "service_manager",
    "service_manager_problem",
    "sole_actor",
    "template_sets",
    "unusable_files",
]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a running relocd acts with."""

    host: Host
    directory: DirectoryPorts


def template_sets(settings: Settings) -> FolderTemplateSets:
    """The template sets that a configuration can find."""
    return FolderTemplateSets([Path(folder) for folder in settings.paths.template_sets], shipped_template_sets())


def check_templates(template_set: TemplateSet) -> None:
    """Raise `Invalid` when the syntax of a template, or of a text of the manifest, is wrong."""
    folder = str(template_set.folder)
    problems = [syntax_error(folder, file.source) for file in template_set.files]
    for number, spec in enumerate(template_set.health, start=1):
        texts = ((syntax_error(folder, "", text)) for text in (*spec.texts, spec.host))
        problems += [f"[[health]] {number} {spec.kind}: {problem}" for problem in texts if problem]
    for problem in filter(None, problems):
        raise Invalid(problem)


def unusable_files(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """Why the files that a connection to the directory needs cannot be used, by the places of their keys."""
    for key, problem in check_files(settings.directory):
        yield ("directory", key), problem


def service_manager() -> SystemdNotifier:
    """The service manager that started this process, if one did."""
    return SystemdNotifier()


def has_program(name: str) -> bool:
    """Whether an agent on this host could start a program of that name, or at that path."""
    return ProcessCommands().finds(name)


async def interfaces(settings: Settings) -> tuple[Interface, ...]:
    """The interfaces of this host, without the addresses that are relocd's."""
    async with NetlinkAddresses(Path(settings.paths.run)) as addresses:
        return tuple(addresses.interfaces())


async def service_manager_problem(settings: Settings) -> str:
    """Why the units of this host cannot be asked for, empty when they can."""
    if settings.units.manager != "systemd":
        return ""
    try:
        async with SystemdUnits(settings.units) as units:
            await units.state("relocd.service")
    except RelocdError as problem:
        return str(problem)
    return ""


def log_handler(form: LogFormat) -> logging.Handler:
    """The handler that writes the log in this form."""
    if form == "journal" or (form == "auto" and is_journal(sys.stderr.fileno())):
        handler = JournalHandler(instead=stream_handler("text"))
        handler.setFormatter(Said())
        return handler
    return stream_handler("json" if form == "json" else "text")


def sole_actor(settings: Settings) -> AbstractContextManager[None]:
    """Be the only process that acts on this server; raises `Fatal` when another one does."""
    return sole(Path(settings.paths.run))


@asynccontextmanager
async def connected(settings: Settings, meter: Meter = UNMEASURED, *, resuming: bool = False) -> AsyncIterator[Parts]:
    """Every adapter opened; all are closed on the way out, and nothing on this server is changed by that.

    The search begins where an earlier one ended when it is `resuming`, else with the whole directory.
    """
    run = Path(settings.paths.run)
    async with AsyncExitStack() as stack:
        commands = ProcessCommands()
        addresses = await stack.enter_async_context(NetlinkAddresses(run))
        wire = await stack.enter_async_context(PacketWire(settings.wire, addresses.interfaces))
        renderer = await stack.enter_async_context(WorkerRenderer(settings.agent.render_timeout_s))
        units: Units = await stack.enter_async_context(_units(settings))
        sets = template_sets(settings)
        stack.callback(sets.close)
        host = Host(
            guards=guards(settings.guards),
            probing=settings.wire.probes > 0,
            sets=sets,
            renderer=renderer,
            files=DiskFiles(commands, settings.guards.folders),
            addresses=addresses,
            wire=wire,
            units=units,
            commands=commands,
            probes=NetworkProbes(),
            ledger=JsonLedger(Path(settings.paths.state) / "ledger"),
            heartbeats=JsonHeartbeatRecord(run / "heartbeats"),
            meter=meter,
        )
        yield Parts(host, await _directory(settings, stack, resuming=resuming))


@asynccontextmanager
async def running_agent(settings: Settings, notifier: SystemdNotifier) -> AsyncIterator[asyncio.Task[None]]:
    """An agent at work, as a task; it is ended on the way out and everything stays as it is."""
    make_loop_urgent(settings.agent.realtime_priority)
    status = JsonStatusFile(Path(settings.paths.run) / STATUS_NAME)
    outlets = Outlets(status, notifier, notifier.alive_s, notify_targets(settings.notify))
    orders = ModeFile(Path(settings.paths.run) / MODE_NAME)
    async with _meter(settings) as meter, connected(settings, meter, resuming=True) as parts:
        task = asyncio.create_task(Agent(settings, parts.host, parts.directory, outlets, orders).run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def notify_targets(settings: NotifySettings) -> tuple[NotifyTarget, ...]:
    """Whoever is told what happens; without a webhook the HTTP client is not even loaded."""
    targets: list[NotifyTarget] = []
    if settings.command:
        targets.append(CommandTarget(settings.command, settings.timeout_s))
    if settings.webhook:
        from relocd.adapters.notifications.webhook import WebhookTarget

        targets.append(WebhookTarget(settings.webhook, settings.ca_file, settings.timeout_s))
    return tuple(targets)


@asynccontextmanager
async def _meter(settings: Settings) -> AsyncIterator[Meter]:
    """The meter that the settings ask for; without one its library is not even loaded."""
    if not settings.metrics.listen:
        yield UNMEASURED
        return
    from relocd.adapters.local.metrics import PrometheusMeter

    async with PrometheusMeter(settings.metrics.listen, settings.handover.lease_s) as meter:
        yield meter


def _units(settings: Settings) -> SystemdUnits | ScriptUnits:
    if settings.units.manager == "systemd":
        return SystemdUnits(settings.units)
    return ScriptUnits(settings.units, Path(settings.paths.run) / "units")


async def _directory(settings: Settings, stack: AsyncExitStack, *, resuming: bool) -> DirectoryPorts:
    filter_ = search_filter(DN.parse(settings.server.dn))
    search = (settings.directory.base, filter_, settings.server.dn)
    cache = FileCache(Path(settings.paths.state) / "cache", search)
    saved = cache.load() if resuming else None
    urgent = partial(make_thread_urgent, settings.agent.realtime_priority if resuming else 0)
    feed = LdapFeed(settings.directory, filter_, saved.cookie if saved else "", urgent)
    await stack.enter_async_context(feed)
    reader = await stack.enter_async_context(LdapReader(settings.directory, lambda: feed.current_uri, urgent))
    writer = await stack.enter_async_context(LdapWriter(_prompt(settings), lambda: feed.current_uri, urgent))
    history = await stack.enter_async_context(LdapHistory(settings.directory, lambda: feed.current_uri))
    return DirectoryPorts(feed, reader, writer, cache, saved, history)


def _prompt(settings: Settings) -> DirectorySettings:
    """For writes: what the provider's host has not got promptly, it never gets."""
    silence_s = min(settings.directory.silence_timeout_s, settings.handover.prompt_s)
    return replace(settings.directory, silence_timeout_s=silence_s)
