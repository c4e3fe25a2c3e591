"""Template sets on a real disk: manifests, who may write them, and noticing that they change."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from pathlib import Path

import pytest
from watchdog.events import (
    DirDeletedEvent,
    FileClosedNoWriteEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileOpenedEvent,
)

from relocd.adapters.folder_watch import _Handler
from relocd.adapters.template_sets import FolderTemplateSets
from relocd.errors import Invalid
from relocd.model.template_set import (
    Command,
    FileSpec,
    First,
    Moment,
    Role,
    Scope,
    UnitAction,
    UnitSpec,
)

PATIENCE_S = 5.0
NOBODY = 65534
MANIFEST = """
[[file]]
source = "a.j2"
target = "/etc/a/{name}.conf"
"""


def write_set(folder: Path, manifest: str = MANIFEST, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.toml").write_text(manifest)
    for name, content in ({"a": "x"} | files).items():
        (folder / f"{name}.j2").write_text(content)
    return folder


@pytest.fixture
def folder(tmp_path):
    before = os.umask(0o022)
    folder = tmp_path / "sets"
    folder.mkdir()
    yield folder
    os.umask(before)


@pytest.fixture
def shipped(tmp_path):
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    return shipped


@pytest.fixture
def sets(folder, shipped):
    sets = FolderTemplateSets([folder], shipped)
    yield sets
    sets.close()


class TestManifest:
    def test_every_key(self, sets, folder):
        manifest = """
            description = "words"
            scope = "service"
            first = "addresses"
            check_timeout_s = 2.5
            [[file]]
            source = "a.j2"
            target = "/etc/a/{name}.conf"
            owner = "daemon"
            group = "adm"
            mode = "0604"
            roles = ["active", "standby"]
            checks = [["check", "-c", "{file}"], ["other", "--file={file}"]]
            [[unit]]
            name = "a@{name}.service"
            active = "reload"
            standby = "start"
            removed = "none"
            change = "none"
            [[command]]
            when = "change"
            run = ["tell", "{name}"]
            timeout_s = 3
        """
        found = sets.get(write_set(folder / "a-1", manifest).name)
        assert (found.name, found.folder, found.description) == ("a-1", folder / "a-1", "words")
        assert (found.scope, found.first, found.check_timeout_s) == (Scope.SERVICE, First.ADDRESSES, 2.5)
        checks = (("check", "-c", "{file}"), ("other", "--file={file}"))
        assert found.files == (FileSpec("a.j2", "/etc/a/{name}.conf", "daemon", "adm", 0o604, frozenset(Role), checks),)
        unit = UnitSpec("a@{name}.service", UnitAction.RELOAD, UnitAction.START, UnitAction.NONE, UnitAction.NONE)
        assert found.units == (unit,)
        assert found.commands == (Command(Moment.CHANGE, ("tell", "{name}"), 3.0),)

    def test_defaults_are_those_of_the_model(self, sets, folder):
        write_set(folder / "a", MANIFEST + '[[unit]]\nname = "a.service"\n')
        found = sets.get("a")
        assert found.files == (FileSpec("a.j2", "/etc/a/{name}.conf"),)
        assert found.units == (UnitSpec("a.service"),)

    def test_one_target_may_have_a_source_for_each_role(self, sets, folder):
        standby = '[[file]]\nsource = "b.j2"\ntarget = "/etc/a/{name}.conf"\nroles = ["standby"]\n'
        write_set(folder / "a", MANIFEST + standby, b="y")
        assert [file.source for file in sets.get("a").files] == ["a.j2", "b.j2"]

    @pytest.mark.parametrize(
        ("manifest", "message"),
        [
            pytest.param("x = ", "manifest.toml line 1: this is not TOML", id="syntax"),
            pytest.param(
                MANIFEST + '[[file]]\nsorce = "a.j2"\n',
                "manifest.toml line 6: [[file]] 2: unknown key 'sorce'; known are checks, group, mode, owner,",
                id="unknown key",
            ),
            pytest.param('[[file]]\nsource = "a.j2"\n', "line 1: [[file]] 1: 'target' is missing", id="missing key"),
            pytest.param('scope = "host"', 'line 1: scope is \'host\'; write one of "service", "server"', id="a word"),
            pytest.param("check_timeout_s = 0", "check_timeout_s is 0.0; write a number of seconds", id="no time"),
            pytest.param(
                "check_timeout_s = nan", "check_timeout_s is nan; write a number of seconds", id="not a number"
            ),
            pytest.param(
                MANIFEST.replace("a.j2", "b.j2"),
                "line 3: [[file]] 1: source 'b.j2' is no file of this folder; its files are a.j2",
                id="a source that is not there",
            ),
            pytest.param(
                MANIFEST.replace("a.j2", "../sets/a/a.j2"),
                "is no file of this folder",
                id="a source by way of the parent",
            ),
            pytest.param(MANIFEST.replace("a.j2", "/etc/passwd"), "is no file of this folder", id="a source elsewhere"),
            pytest.param(MANIFEST.replace("/etc/a", "etc/a"), "line 4: [[file]] 1: target is 'etc/a/", id="relative"),
            pytest.param(
                MANIFEST.replace("/etc/a", "/etc/../a"), "write the absolute path of a file", id="target with .."
            ),
            pytest.param(
                MANIFEST.replace("/etc/a", "/etc//a"), "write the absolute path of a file", id="target with //"
            ),
            pytest.param(
                MANIFEST.replace("{name}.conf", ""), "write the absolute path of a file", id="target a folder"
            ),
            pytest.param(
                MANIFEST.replace("/etc/a", "/etc/\\u0007"), "characters that cannot be seen", id="target bell"
            ),
            pytest.param(
                MANIFEST.replace("{name}", "{nam}"),
                "target has '{nam}'; the only placeholder is {name}",
                id="another placeholder",
            ),
            pytest.param(MANIFEST.replace("{name}", "{name"), "the only placeholder is {name}", id="an open brace"),
            pytest.param(
                'scope = "server"\n' + MANIFEST, "belongs to no single service", id="a name in a server's set"
            ),
            pytest.param(
                MANIFEST + MANIFEST,
                "line 8: [[file]] 2: target is also the target of [[file]] 1 in the role active; leave one",
                id="a target twice",
            ),
            pytest.param(MANIFEST + 'mode = "648"', "mode is '648'; write the octal digits as a string", id="no octal"),
            pytest.param(MANIFEST + "mode = 0o640", "mode is 416; write a string in quotes", id="mode a number"),
            pytest.param(MANIFEST + "roles = []", "roles is empty; write", id="no role"),
            pytest.param(MANIFEST + 'roles = ["x"]', "roles is ['x']; write a list, each item one of", id="a role"),
            pytest.param(MANIFEST + "checks = [[]]", "checks names no program", id="an empty check"),
            pytest.param(MANIFEST + 'checks = [["a"]]', "checks has a check without {file}", id="a check of nothing"),
            pytest.param(MANIFEST + 'checks = ["a {file}"]', "each item a list, each item a string", id="a shell line"),
            pytest.param(
                '[[unit]]\nname = "a/b"', "line 2: [[unit]] 1: name is 'a/b'; write a unit's name", id="unit path"
            ),
            pytest.param(
                '[[unit]]\nname = "a"\n[[unit]]\nname = "a"', "line 4: [[unit]] 2: name 'a' has", id="unit twice"
            ),
            pytest.param('[[unit]]\nname = "a@{x}"', "the only placeholder is {name}", id="unit placeholder"),
            pytest.param(
                '[[unit]]\nname = "a"\nactive = "stop"', 'active is "stop"; write one of "start",', id="active"
            ),
            pytest.param(
                '[[unit]]\nname = "a"\nremoved = "start"', 'removed is "start"; write one of "stop"', id="removed"
            ),
            pytest.param(
                '[[unit]]\nname = "a"\nchange = "stop"', 'change is "stop"; write one of "reload"', id="change"
            ),
            pytest.param(
                '[[command]]\nwhen = "change"\nrun = []', "line 3: [[command]] 1: run names no", id="no command"
            ),
            pytest.param(
                '[[command]]\nwhen = "boot"\nrun = ["a"]', "when is 'boot'; write one of \"activate\"", id="when"
            ),
            pytest.param(
                '[[command]]\nwhen = "change"\nrun = ["a"]\ntimeout_s = -1', "timeout_s is -1.0; write", id="timeout"
            ),
        ],
    )
    def test_what_is_wrong_is_named(self, sets, folder, manifest, message):
        write_set(folder / "a", manifest)
        with pytest.raises(Invalid) as caught:
            sets.get("a")
        assert str(caught.value).startswith(f"template set a: {folder}/a/manifest.toml line ")
        assert message in str(caught.value)


class TestFolder:
    def test_no_set_of_that_name(self, sets, folder, shipped):
        with pytest.raises(Invalid, match=f"template set a: no folder of that name in {folder}, {shipped}"):
            sets.get("a")

    @pytest.mark.parametrize("name", ["", ".", "..", "../sets/a", "A", "a/b", "-a", "a b", "x" * 65])
    def test_a_name_is_no_path(self, sets, folder, name):
        write_set(folder / "a")
        with pytest.raises(Invalid, match="never by a path"):
            sets.get(name)

    def test_the_first_folder_counts(self, tmp_path, folder, shipped):
        write_set(shipped / "a", MANIFEST + "# shipped")
        write_set(shipped / "b")
        write_set(tmp_path / "second" / "a", MANIFEST + "# second")
        sets = FolderTemplateSets([folder, tmp_path / "second", tmp_path / "absent"], shipped)
        assert sets.get("a").folder == tmp_path / "second" / "a"
        assert sets.get("b").folder == shipped / "b"
        assert sets.names() == ["a", "b"]

    def test_a_broken_set_hides_the_shipped_one(self, sets, folder, shipped):
        write_set(shipped / "a")
        write_set(folder / "a", "x")
        with pytest.raises(Invalid, match=str(folder)):
            sets.get("a")

    def test_no_manifest(self, sets, folder):
        (folder / "a").mkdir()
        with pytest.raises(Invalid, match=f"{folder}/a/manifest.toml is missing"):
            sets.get("a")

    def test_manifest_not_utf8(self, sets, folder):
        (write_set(folder / "a") / "manifest.toml").write_bytes(b"\xff")
        with pytest.raises(Invalid, match=r"manifest\.toml is not UTF-8"):
            sets.get("a")

    @pytest.mark.parametrize("name", ["a.j2", "manifest.toml", "sub/c.j2", "sub", "."])
    @pytest.mark.parametrize("mode", [0o020, 0o002])
    def test_what_others_can_write_is_refused(self, sets, folder, name, mode):
        write_set(folder / "a")
        write_set(folder / "a" / "sub", c="c")
        path = (folder / "a" / name).resolve()
        path.chmod(path.stat().st_mode | mode)
        with pytest.raises(Invalid, match=f"{path} can be written by others than its owner; run: chmod go-w {path}"):
            sets.get("a")

    def test_a_folder_of_sets_that_others_can_write_is_refused(self, sets, folder):
        write_set(folder / "a")
        folder.chmod(0o1777)
        with pytest.raises(Invalid, match=f"chmod go-w {folder}$"):
            sets.get("a")

    @pytest.mark.parametrize("name", ["a.j2", "manifest.toml", "."])
    def test_what_belongs_to_others_is_refused(self, sets, folder, name):
        path = (write_set(folder / "a") / name).resolve()
        os.chown(path, NOBODY, -1)
        with pytest.raises(Invalid, match=f"{path} belongs to nobody, who could change what runs; run: chown root"):
            sets.get("a")

    def test_shipped_sets_may_belong_to_whoever_has_the_source_tree(self, sets, shipped):
        path = write_set(shipped / "a")
        os.chown(path, NOBODY, -1)
        path.chmod(0o775)
        assert sets.get("a").folder == path

    def test_a_link_out_of_the_set_is_refused(self, sets, folder, tmp_path):
        write_set(folder / "a")
        (tmp_path / "secret").write_text("s")
        (folder / "a" / "b.j2").symlink_to(tmp_path / "secret")
        with pytest.raises(Invalid, match=r"b\.j2 is a symbolic link that leads out of the template set"):
            sets.get("a")

    def test_a_link_within_the_set_is_a_file(self, sets, folder):
        write_set(folder / "a", MANIFEST.replace("a.j2", "b.j2"))
        (folder / "a" / "b.j2").symlink_to("a.j2")
        assert sets.get("a").files[0].source == "b.j2"

    def test_a_set_that_is_a_link_is_refused(self, sets, folder, tmp_path):
        write_set(tmp_path / "real")
        (folder / "a").symlink_to(tmp_path / "real")
        with pytest.raises(Invalid, match=f"{folder}/a is a symbolic link"):
            sets.get("a")

    def test_a_folder_of_sets_may_be_a_link(self, folder, shipped, tmp_path):
        write_set(folder / "a")
        (tmp_path / "link").symlink_to(folder)
        assert FolderTemplateSets([tmp_path / "link"], shipped).get("a").folder == folder / "a"

    def test_a_pipe_is_refused_and_not_opened(self, sets, folder):
        os.mkfifo(write_set(folder / "a") / "pipe")
        with pytest.raises(Invalid, match="pipe is no regular file"):
            sets.get("a")

    def test_the_digest_is_that_of_all_files(self, folder, shipped):
        def digest() -> str:
            return FolderTemplateSets([folder], shipped).get("a").digest

        write_set(folder / "a", b="b")
        seen = [digest()]
        assert digest() == seen[0]
        (folder / "a" / "b.j2").write_text("c")
        seen.append(digest())
        (folder / "a" / "b.j2").rename(folder / "a" / "c.j2")
        seen.append(digest())
        (folder / "a" / "sub").mkdir()
        (folder / "a" / "sub" / "d.j2").write_text("")
        seen.append(digest())
        assert len(set(seen)) == len(seen)
        (folder / "a" / ".a.j2.swp").write_text("left by an editor")
        (folder / "a" / "a.j2~").write_text("left by an editor")
        assert digest() == seen[-1]


class Changes:
    """What a listener was told, to be waited for with a deadline."""

    def __init__(self, sets: FolderTemplateSets) -> None:
        self.count = 0
        self._event = asyncio.Event()
        sets.watch(self._changed)

    def _changed(self) -> None:
        self.count += 1
        self._event.set()

    async def until(self, condition) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._event.clear()
                await self._event.wait()


def usable(sets: FolderTemplateSets, name: str = "a") -> bool:
    try:
        sets.get(name)
    except Invalid:
        return False
    return True


class TestWatch:
    async def test_without_a_change_nothing_is_read_again(self, sets, folder):
        write_set(folder / "a")
        Changes(sets)
        assert sets.get("a") is sets.get("a")

    async def test_an_edit_is_seen(self, sets, folder):
        path = write_set(folder / "a")
        changes = Changes(sets)
        first = sets.get("a").digest
        (path / "a.j2").write_text("changed")
        await changes.until(lambda: sets.get("a").digest != first)

    @pytest.mark.parametrize(
        ("event", "concerns"),
        [
            pytest.param(FileModifiedEvent("/etc/sets/a/a.j2"), True, id="an edit"),
            pytest.param(FileMovedEvent("/tmp/x", "/etc/sets/a/a.j2"), True, id="moved to there"),
            pytest.param(DirDeletedEvent("/etc"), True, id="the way to it"),
            pytest.param(FileOpenedEvent("/etc/sets/a/a.j2"), False, id="opened, as we do ourselves"),
            pytest.param(FileClosedNoWriteEvent("/etc/sets/a/a.j2"), False, id="read to the end"),
            pytest.param(FileModifiedEvent("/etc/passwd"), False, id="beside it"),
        ],
    )
    def test_what_counts_as_a_change(self, event, concerns):
        noted = []
        _Handler(lambda: noted.append(event), [Path("/etc/sets")]).on_any_event(event)
        assert noted == ([event] if concerns else [])

    async def test_a_set_that_breaks_and_is_mended(self, sets, folder):
        path = write_set(folder / "a")
        changes = Changes(sets)
        assert usable(sets)
        (path / "manifest.toml").write_text("scope = 3")
        await changes.until(lambda: not usable(sets))
        (path / "manifest.toml").write_text(MANIFEST)
        await changes.until(lambda: usable(sets))

    async def test_permissions_that_are_mended(self, sets, folder):
        path = write_set(folder / "a")
        (path / "a.j2").chmod(0o666)
        changes = Changes(sets)
        assert not usable(sets)
        (path / "a.j2").chmod(0o644)
        await changes.until(lambda: usable(sets))

    async def test_many_changes_make_few_calls(self, sets, folder):
        path = write_set(folder / "a")
        changes = Changes(sets)
        for number in range(300):
            (path / "a.j2").write_text(str(number))
        (path / "done.j2").write_text("")
        await changes.until(lambda: changes.count)
        assert changes.count <= 3

    async def test_a_new_set_in_a_subfolder_is_seen_with_what_is_written_later(self, sets, folder):
        changes = Changes(sets)
        assert not usable(sets)
        (folder / "a" / "sub").mkdir(parents=True)
        write_set(folder / "a")
        await changes.until(lambda: usable(sets))
        first = sets.get("a").digest
        (folder / "a" / "sub" / "c.j2").write_text("c")
        await changes.until(lambda: sets.get("a").digest != first)

    async def test_a_folder_that_does_not_exist_yet(self, shipped, tmp_path):
        sets = FolderTemplateSets([tmp_path / "etc" / "relocd" / "sets"], shipped)
        changes = Changes(sets)
        try:
            for _ in range(2):  # a folder that went is one that does not exist yet
                assert not usable(sets)
                write_set(tmp_path / "etc" / "relocd" / "sets" / "a")
                await changes.until(lambda: usable(sets))
                first = sets.get("a").digest
                write_set(tmp_path / "etc" / "relocd" / "sets" / "a", a="changed")
                await changes.until(lambda first=first: sets.get("a").digest != first)
                shutil.rmtree(tmp_path / "etc")
                await changes.until(lambda: not usable(sets))
        finally:
            sets.close()

    async def test_a_folder_that_is_replaced_by_another(self, sets, folder, tmp_path):
        write_set(folder / "a")
        write_set(tmp_path / "new" / "a", a="new")
        changes = Changes(sets)
        first = sets.get("a").digest
        folder.rename(tmp_path / "old")
        (tmp_path / "new").rename(folder)
        await changes.until(lambda: usable(sets) and sets.get("a").digest != first)
        second = sets.get("a").digest
        write_set(folder / "a", a="later")
        await changes.until(lambda: sets.get("a").digest != second)

    async def test_a_link_to_the_folder_that_is_turned(self, folder, shipped, tmp_path):
        write_set(folder / "a")
        write_set(tmp_path / "new" / "a", a="new")
        (tmp_path / "link").symlink_to(folder)
        sets = FolderTemplateSets([tmp_path / "link"], shipped)
        changes = Changes(sets)
        try:
            first = sets.get("a").digest
            (tmp_path / "turned").symlink_to(tmp_path / "new")
            (tmp_path / "turned").rename(tmp_path / "link")
            await changes.until(lambda: sets.get("a").digest != first)
            second = sets.get("a").digest
            write_set(tmp_path / "new" / "a", a="later")
            await changes.until(lambda: sets.get("a").digest != second)
        finally:
            sets.close()

    async def test_close_ends_the_threads_and_the_calls(self, sets, folder):
        path = write_set(folder / "a")
        changes = Changes(sets)
        (path / "a.j2").write_text("changed")
        sets.close()
        assert not [thread for thread in threading.enumerate() if type(thread).__module__.startswith("watchdog")]
        await asyncio.sleep(0)  # what a thread had already handed to the loop
        assert changes.count == 0
