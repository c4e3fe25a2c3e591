"""Template sets on a disk: manifests, names, links, modes and encodings; one bad set leaves the others as they are."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from random import Random

from relocd.adapters.files.replacement import owner_ids
from relocd.adapters.templates.render_worker import syntax_error
from relocd.adapters.templates.template_sets import FolderTemplateSets
from relocd.errors import Invalid
from relocd.model.template_set import Role
from relocd.reconcile.health import check_of, planned_checks
from relocd.reconcile.spec import spec_of
from relocd.reconcile.template_context import TemplateAddress
from tests.adapters.templates.set_writing import write_set
from tests.fuzz.frame import given
from tests.fuzz.odd import odd_bytes, odd_text, one_in
from tests.fuzz.tomls import spoiled, written
from tests.support.plans import ETH0, GUARDS, goal

NAME = "manifests"
CASES = 2400

_TABLES = (
    ("", {"description": "words", "scope": "service", "first": "units", "check_timeout_s": 2.5}),
    (
        "[[file]]",
        {
            "source": "a.j2",
            "target": "/etc/app/{name}.conf",
            "owner": "root",
            "group": "root",
            "mode": "0640",
            "roles": ["active"],
            "checks": [["true", "{file}"]],
        },
    ),
    ("[[unit]]", {"name": "web", "active": "start", "standby": "stop", "removed": "stop", "early": False}),
    ("[[command]]", {"when": "change", "run": ["true", "{name}"], "timeout_s": 3}),
    (
        "[[health]]",
        {
            "http": "http://{{ address.host }}:{{ parameters.port | default('80') }}/",
            "host": "www.example.org",
            "statuses": "200-399,404",
            "interval_s": 1.5,
            "timeout_s": 0.5,
            "fall": 2,
            "rise": 1,
            "start_s": 0,
            "restarts": 0,
        },
    ),
    ("[[health]]", {"command": ["mountpoint", "-q", "/srv/{{ service.name }}"], "fall": 2}),
    ("[[health]]", {"tcp": "{{ address.host }}:80"}),
    ("[[health]]", {"restarts": 3}),
)
_TEMPLATES = (
    "x",
    "{{ a",
    "{% for a in b %}" * 30,
    "{% include '.h' %}",
    "{{ " + "(" * 300,
    "{% raw %}",
    "{{ a" + ".b" * 999 + " }}",
)


def case(random: Random) -> None:
    """One set that is odd, beside one that is not."""
    manifest = spoiled(random, written(random, _TABLES))
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="relocd-fuzz."))
    try:
        with given(manifest=manifest):
            _looked_at(random, folder, manifest)
    finally:
        for each in (folder, *folder.rglob("*")):
            if not each.is_symlink() and each.is_dir():
                each.chmod(0o700)
        shutil.rmtree(folder)


def _looked_at(random: Random, folder: Path, manifest: str) -> None:
    os.umask(0o022)
    folder.chmod(0o755)
    write_set(folder / "good")
    bad = folder / "bad"
    bad.mkdir()
    (bad / "manifest.toml").write_bytes(odd_bytes(random, manifest) if one_in(random, 9) else manifest.encode())
    (bad / "a.j2").write_text(random.choice(_TEMPLATES))
    done = [_oddity(random, bad) for _ in range(random.randrange(3))]
    sets = FolderTemplateSets([folder], folder / "shipped")
    with given(done=done):
        _used(sets)
        assert sets.get("good").files
        assert sets.names() == ["bad", "good"]


def _used(sets: FolderTemplateSets) -> None:
    """As the agent and `relocd check` do."""
    try:
        found = sets.get("bad")
    except Invalid as error:
        assert str(error).startswith("template set bad: ")  # noqa: PT017 - the other outcome goes on
        return
    for role in Role:
        for problem in spec_of(goal("web", role, "192.0.2.10/24"), [found], GUARDS, [ETH0]).problems:
            assert problem
    for planned in planned_checks([found], (TemplateAddress("192.0.2.10", 24, 4),)):
        for text in planned.texts:
            syntax_error(str(found.folder), planned.where, text.text)
        with suppress(Invalid):
            check_of(planned, [text.text for text in planned.texts])
    for file in found.files:
        syntax_error(str(found.folder), file.source)
        with suppress(Invalid):
            owner_ids(file.owner, file.group, file.target)


def _oddity(random: Random, bad: Path) -> str:
    """Something beside the manifest, or done to what is there; what the file system does not allow is left out."""
    name = random.choice(
        (b"b.j2", b"caf\xe9", b".h", b"b~", b"a\nb", b"x" * 255, odd_text(random).encode()[:200] or b"n")
    )
    path = Path(os.fsdecode(name.replace(b"/", b"_").replace(b"\0", b"_")))
    way = random.choice(("file", "fifo", "loop", "out", "huge", "folder", "mode", "owner", "zeros"))
    with suppress(OSError):
        if not os.path.lexists(bad / path):
            _done(way, bad / path)
    return f"{way} {name!r}"


def _done(way: str, path: Path) -> None:
    actions = {
        "file": lambda: path.write_text("x"),
        "fifo": lambda: os.mkfifo(path),
        "loop": lambda: path.symlink_to(path.name),
        "out": lambda: path.symlink_to("/etc/passwd"),
        "huge": lambda: os.truncate(path.parent / "manifest.toml", 1 << 30),
        "folder": lambda: (path / "d/e/f").mkdir(parents=True),
        "mode": lambda: path.parent.chmod(0o777),
        "owner": lambda: os.chown(path.parent / "a.j2", 65534, -1),
        "zeros": lambda: path.write_bytes(b"\0" * 4096),
    }
    actions[way]()
