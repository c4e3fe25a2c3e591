"""Noticing that template sets change on a real disk, also in folders that are not there yet."""

from __future__ import annotations

import asyncio
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

from relocd.adapters.templates.folder_watch import _EventHandler
from relocd.adapters.templates.template_sets import FolderTemplateSets
from relocd.errors import Invalid
from tests.adapters.templates.set_writing import MANIFEST, no_descriptors, write_set

PATIENCE_S = 5.0


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
        _EventHandler(lambda: noted.append(event), [Path("/etc/sets")]).on_any_event(event)
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

    async def test_folders_within_another_hide_none_of_its_changes(self, folder, shipped):
        """The kernel keeps one mask a folder: the watch of `a`, for entries only, would narrow that of all sets."""
        paths = [write_set(folder / name) for name in "abcdef"]
        for path in paths:
            (path / "sub").mkdir()
        sets = FolderTemplateSets([folder, *(path / "sub" for path in paths)], shipped)
        changes = Changes(sets)
        try:
            for path in paths:
                first = sets.get(path.name).digest
                (path / "a.j2").write_text("changed")
                await changes.until(lambda path=path, first=first: sets.get(path.name).digest != first)
        finally:
            sets.close()

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

    async def test_a_link_to_the_folder_that_is_changed(self, folder, shipped, tmp_path):
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

    async def test_a_folder_that_is_a_link_to_itself_ends_nothing(self, shipped, tmp_path):
        link = tmp_path / "link"
        link.symlink_to(link)
        sets = FolderTemplateSets([link], shipped)
        try:
            changes = Changes(sets)
            assert not usable(sets)
            link.unlink()
            write_set(link / "a")
            await changes.until(lambda: usable(sets))
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

    async def test_without_an_instance_of_inotify_left_it_says_what_to_raise_and_watches_later(
        self, sets, folder, caplog
    ):
        """Watchdog asks for one at another moment in each of its versions."""
        path = write_set(folder / "a")
        with no_descriptors():
            changes = Changes(sets)
        (record,) = caplog.records
        assert "raise fs.inotify." in record.fields["problem"]
        await changes.until(lambda: changes.count)
        (path / "a.j2").write_text("changed")
        first = changes.count
        await changes.until(lambda: changes.count > first)
