"""A parameter: its new value arrives from LDAP, and files on disk have it.

Directory, kernel and units are in memory (`tests.support`). Template set, render process and files are real.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from relocd.adapters.files.files import DiskFiles
from relocd.adapters.templates.renderer import WorkerRenderer
from relocd.adapters.templates.template_sets import FolderTemplateSets
from relocd.adapters.units.commands import ProcessCommands
from relocd.agent.convergence.host import Host
from relocd.model.settings import GuardSettings, HandoverSettings
from relocd.reconcile.guards import guards
from tests.journeys.link import LEASE_S, PLANS
from tests.journeys.recorder import Journey, Recorder, once
from tests.support.entries import server
from tests.support.fakes import until
from tests.unit.agent.lab import SETTINGS, Lab, web

__all__ = ["FILES", "parameter"]

FILES: Final = 3
_SEND: Final = ("asyncio/streams.py", "write")
_RELOAD: Final = ("tests/support/fakes.py", "reload")
_OLD, _NEW = "an-old-value", "a-new-value"


async def parameter(folder: Path) -> Journey:
    """Trace a change, from the event of the search to the call that reloads the unit with the new files."""
    _write_set(folder)
    lab = Lab(server("me", services=["web"]), web(relocParameter=f"title={_OLD}"))
    recorder = Recorder({PLANS: once, _SEND: _copies}, end=_RELOAD)
    sets = FolderTemplateSets([folder / "sets"], folder / "none")
    with closing(sets):
        async with WorkerRenderer(10.0) as renderer:
            lab.server.host = _with_files(lab.server.host, folder, sets, renderer)
            async with lab.agent(replace(SETTINGS, handover=HandoverSettings(lease_s=LEASE_S))):
                lab.directory.refresh()
                await lab.serving()
                recorder.start()
                lab.directory.put(web(relocParameter=f"title={_NEW}"))
                await until(lambda: "reload web" in lab.server.world.effects)
    written = [path.read_text() for path in (folder / "etc").iterdir()]
    assert written == [_NEW] * FILES
    title = f"parameter: from its new value in LDAP to {FILES} files that have it"
    return recorder.journey(title, plans=recorder.calls[PLANS], copies_sent_to_the_renderer=recorder.calls[_SEND])


def _with_files(host: Host, folder: Path, sets: FolderTemplateSets, renderer: WorkerRenderer) -> Host:
    """The host with real files, which are below one folder."""
    allowed = (str(folder / "etc"),)
    return replace(
        host,
        guards=guards(GuardSettings(networks=("192.0.2.0/24",), units=("web",), folders=allowed)),
        sets=sets,
        renderer=renderer,
        files=DiskFiles(ProcessCommands(), allowed),
    )


def _copies(arguments: Mapping[str, Any]) -> int:
    """How often the value is in a message to the render process."""
    return int(bytes(arguments["data"]).count(_NEW.encode()))


def _write_set(folder: Path) -> None:
    """A set with several files, each of which has the parameter."""
    (folder / "etc").mkdir()
    (folder / "sets" / "web").mkdir(parents=True)
    (folder / "sets" / "web" / "page.j2").write_text("{{ parameters.title }}")
    tables = [f'[[file]]\nsource = "page.j2"\ntarget = "{folder}/etc/{{name}}-{number}"\n' for number in range(FILES)]
    manifest = "\n".join([*tables, '[[unit]]\nname = "web"\nchange = "reload"\n'])
    (folder / "sets" / "web" / "manifest.toml").write_text(manifest)
