"""Files that lie ready beside their targets: what a server does before it takes over, and what is left to do then."""

from __future__ import annotations

import asyncio
import os
import pwd
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from relocd.adapters.files.files import DiskFiles
from relocd.adapters.units.commands import ProcessCommands
from relocd.errors import Failed, Invalid
from relocd.model.host import NewFile
from tests.adapters.files.lab import PATIENCE_S, names, run


@pytest.fixture
def checked(tmp_path):
    """A file whose check writes down each of its runs; it refuses a file that contains BAD."""
    log = tmp_path / "checks"

    def new(target: Path, content: str = "new", **more) -> NewFile:
        data = content.encode()
        check = ("sh", "-c", f'echo "$1" >>{log}; ! grep BAD "$1"', "sh", "{file}")
        return NewFile(str(target), data, sha256(data).hexdigest(), checks=(check,), **more)

    return new


@pytest.fixture
def checks(tmp_path):
    """Says which files were checked since the last time, in order."""
    log = tmp_path / "checks"

    def since() -> list[str]:
        runs = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [Path(run).name for run in runs]

    return since


def traces(folder: Path) -> dict[str, tuple[int, int]]:
    """What would show that anything was written: inode and time of the last change, of the folder too."""
    return {path.name: (path.stat().st_ino, path.stat().st_ctime_ns) for path in (folder, *folder.iterdir())}


class TestPrepare:
    async def test_all_is_ready_and_nothing_in_place(self, files, folder, checked, checks):
        (folder / "a.conf").write_text("old")
        await files.prepare(
            [checked(folder / "a.conf", owner="daemon", mode=0o604), checked(folder / "b.conf", mode=0o600)]
        )
        assert checks() == [".relocd-new.a.conf", ".relocd-new.b.conf"]
        assert names(folder) == [".relocd-new.a.conf", ".relocd-new.b.conf", "a.conf"]
        assert (folder / "a.conf").read_text() == "old"
        staged = folder / ".relocd-new.a.conf"
        assert staged.read_text() == "new"
        assert (staged.owner(), stat.S_IMODE(staged.stat().st_mode)) == ("daemon", 0o604)

    async def test_again_is_free(self, files, folder, checked, checks):
        (folder / "right.conf").write_text("right")

        def wanted():
            return [checked(folder / "a.conf"), checked(folder / "right.conf", "right")]

        await files.prepare(wanted())
        checks()
        before = traces(folder)
        await files.prepare(wanted())
        await files.prepare(wanted()[::-1])
        assert (traces(folder), checks()) == (before, [])

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda path: path.unlink(), id="gone"),
            pytest.param(lambda path: path.write_text("odd"), id="altered"),
            pytest.param(lambda path: path.chmod(0o666), id="with another mode"),
            pytest.param(lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), id="a link"),
        ],
    )
    async def test_what_is_not_as_it_was_left_is_prepared_again(self, files, folder, checked, checks, change):
        wanted = [checked(folder / "a.conf"), checked(folder / "b.conf")]
        await files.prepare(wanted)
        checks()
        change(folder / ".relocd-new.a.conf")
        await files.prepare(wanted)
        assert checks() == [".relocd-new.a.conf", ".relocd-new.b.conf"]
        assert (folder / ".relocd-new.a.conf").read_text() == "new"
        assert stat.S_IMODE((folder / ".relocd-new.a.conf").stat().st_mode) == 0o640

    async def test_a_target_that_was_right_and_is_not_any_more_is_prepared_too(self, files, folder, checked, checks):
        (folder / "a.conf").write_text("new")
        await files.prepare([checked(folder / "a.conf")])
        assert (names(folder), checks()) == (["a.conf"], [])
        (folder / "a.conf").write_text("odd")
        await files.prepare([checked(folder / "a.conf")])
        assert (names(folder), checks()) == ([".relocd-new.a.conf", "a.conf"], [".relocd-new.a.conf"])

    async def test_a_newer_version_takes_the_place_of_all_that_was_prepared_before(self, files, folder, checked):
        await files.prepare([checked(folder / "a.conf"), checked(folder / "gone.conf")])
        await files.prepare([checked(folder / "a.conf", "newer"), checked(folder / "b.conf")])
        assert names(folder) == [".relocd-new.a.conf", ".relocd-new.b.conf"]
        assert (folder / ".relocd-new.a.conf").read_text() == "newer"

    async def test_what_is_prepared_apart_stays_apart(self, files, folder, checked, checks):
        await files.prepare([checked(folder / "a.conf")])
        await files.prepare([checked(folder / "b.conf")])
        checks()
        await files.install([checked(folder / "a.conf")])
        assert (names(folder), checks()) == ([".relocd-new.b.conf", "a.conf"], [])

    async def test_one_refused_file_leaves_none(self, files, folder, checked):
        with pytest.raises(Failed, match=f"{folder}/b.conf: the check .* refused the new file"):
            await files.prepare([checked(folder / "a.conf"), checked(folder / "b.conf", "BAD")])
        assert names(folder) == []

    async def test_after_a_refusal_nothing_of_the_version_before_is_left(self, files, folder, checked):
        await files.prepare([checked(folder / "a.conf")])
        with pytest.raises(Failed):
            await files.prepare([checked(folder / "a.conf", "BAD")])
        assert names(folder) == []

    async def test_a_file_that_cannot_be_written_leaves_none(self, files, folder, checked, tmp_path):
        with pytest.raises(Invalid, match="not below one of the allowed folders"):
            await files.prepare([checked(folder / "a.conf"), checked(tmp_path / "b.conf")])
        assert names(folder) == []

    async def test_two_files_for_one_target(self, files, folder, checked):
        with pytest.raises(Invalid, match="two files have the same target"):
            await files.prepare([checked(folder / "a.conf"), checked(folder / "a.conf", "other")])

    async def test_given_up_in_the_middle_it_leaves_none(self, files, folder, tmp_path):
        started = tmp_path / "started"
        check = ("sh", "-c", f"touch {started}; exec sleep 60", "{file}")
        hanging = NewFile(str(folder / "a.conf"), b"x", sha256(b"x").hexdigest(), checks=(check,), check_timeout_s=60)
        task = asyncio.create_task(files.prepare([hanging]))
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(started.exists):
                await asyncio.wait([task], timeout=0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert names(folder) == []


class TestInstall:
    async def test_what_was_prepared_is_only_renamed(self, files, folder, checked, checks):
        """The staged inode is the installed one, and no check runs."""
        (folder / "a.conf").write_text("old")
        wanted = [checked(folder / "a.conf"), checked(folder / "b.conf", owner="daemon", mode=0o600)]
        await files.prepare(wanted)
        checks()
        staged = [(folder / f".relocd-new.{name}").stat().st_ino for name in ("a.conf", "b.conf")]
        await files.install(wanted[::-1])
        assert [(folder / name).stat().st_ino for name in ("a.conf", "b.conf")] == staged
        assert (names(folder), checks()) == (["a.conf", "b.conf"], [])
        assert ((folder / "a.conf").read_text(), (folder / "b.conf").owner()) == ("new", "daemon")

    async def test_it_waits_for_no_disk_and_takes_one_way_into_a_thread(self, files, folder, checked, monkeypatch):
        wanted = [checked(folder / "a.conf"), checked(folder / "b.conf")]
        await files.prepare(wanted)
        synced, hops, hop = [], [], asyncio.to_thread

        async def counted(work, *arguments):
            hops.append(work)
            return await hop(work, *arguments)

        monkeypatch.setattr(os, "fsync", synced.append)
        monkeypatch.setattr(asyncio, "to_thread", counted)
        await files.install(wanted)
        assert (synced, len(hops)) == ([], 1)

    async def test_owner_and_mode_of_what_was_right_are_corrected(self, files, folder, checked, checks):
        (folder / "a.conf").write_text("new")
        (folder / "a.conf").chmod(0o604)
        wanted = [checked(folder / "a.conf", owner="daemon", mode=0o600), checked(folder / "b.conf")]
        await files.prepare(wanted)
        assert stat.S_IMODE((folder / "a.conf").stat().st_mode) == 0o604
        checks()
        await files.install(wanted)
        found = (folder / "a.conf").stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (pwd.getpwnam("daemon").pw_uid, 0o600)
        assert checks() == []

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda folder: (folder / ".relocd-new.b.conf").unlink(), id="one is gone"),
            pytest.param(lambda folder: (folder / ".relocd-new.b.conf").write_text("odd"), id="one is altered"),
            pytest.param(lambda folder: (folder / "right.conf").write_text("odd"), id="one in place is altered"),
            pytest.param(lambda folder: (folder / "right.conf").unlink(), id="one in place is gone"),
        ],
    )
    async def test_what_does_not_fit_any_more_is_done_anew(self, files, folder, checked, checks, change):
        (folder / "right.conf").write_text("right")
        wanted = [checked(folder / "a.conf"), checked(folder / "b.conf"), checked(folder / "right.conf", "right")]
        await files.prepare(wanted)
        checks()
        change(folder)
        await files.install(wanted)
        assert names(folder) == ["a.conf", "b.conf", "right.conf"]
        assert [(folder / name).read_text() for name in names(folder)] == ["new", "new", "right"]
        assert checks()[:2] == [".relocd-new.a.conf", ".relocd-new.b.conf"]

    async def test_what_does_not_fit_and_cannot_be_done_anew_leaves_nothing(self, files, folder, checked):
        """The first file stops the second try before it reaches what lies ready for the second."""
        wanted = [checked(folder / "a.conf"), checked(folder / "b.conf")]
        await files.prepare(wanted)
        (folder / ".relocd-new.a.conf").unlink()
        (folder / "a.conf").mkdir()
        with pytest.raises(Invalid, match=f"{folder}/a.conf is not a regular file; move it away"):
            await files.install(wanted)
        assert names(folder) == ["a.conf"]

    async def test_another_version_is_done_in_full_and_the_prepared_one_goes(self, files, folder, checked, checks):
        await files.prepare([checked(folder / "a.conf"), checked(folder / "b.conf")])
        checks()
        await files.install([checked(folder / "a.conf", "newer")])
        assert (names(folder), checks()) == (["a.conf"], [".relocd-new.a.conf"])
        assert (folder / "a.conf").read_text() == "newer"
        await files.install([checked(folder / "a.conf"), checked(folder / "b.conf")])
        assert checks() == [".relocd-new.a.conf", ".relocd-new.b.conf"]

    async def test_a_folder_that_leads_elsewhere_since_then_is_not_written(self, files, folder, checked, tmp_path):
        (folder / "sub").mkdir()
        await files.prepare([checked(folder / "sub" / "a.conf")])
        (folder / "sub").rename(tmp_path / "out")
        (folder / "sub").symlink_to(tmp_path / "out")
        with pytest.raises(Invalid, match="not below one of the allowed folders"):
            await files.install([checked(folder / "sub" / "a.conf")])
        assert names(tmp_path / "out") == [".relocd-new.a.conf"]

    async def test_a_rename_that_fails_brings_the_old_ones_back(self, files, folder, checked):
        """A file that is a mount point can be written beside, but not replaced: only the rename finds out."""
        (folder / "a.conf").write_text("old a")
        (folder / "fixed.conf").write_text("old")
        wanted = [checked(folder / name) for name in ("a.conf", "b.conf", "fixed.conf")]
        await files.prepare(wanted)
        run("mount", "--bind", folder / "fixed.conf", folder / "fixed.conf")
        try:
            with pytest.raises(Failed, match=f"{folder}/fixed.conf: it is a mount point; mount its folder"):
                await files.install(wanted)
        finally:
            run("umount", folder / "fixed.conf")
        assert (names(folder), (folder / "a.conf").read_text()) == (["a.conf", "fixed.conf"], "old a")


class TestDiscard:
    async def test_all_that_was_prepared_together_goes(self, files, folder, checked, checks):
        wanted = [checked(folder / "a.conf"), checked(folder / "b.conf")]
        (folder / "a.conf").write_text("old")
        await files.prepare(wanted)
        checks()
        await files.discard([f"{folder}/a.conf"])
        assert (names(folder), (folder / "a.conf").read_text()) == (["a.conf"], "old")
        await files.install(wanted)
        assert checks() == [".relocd-new.a.conf", ".relocd-new.b.conf"]

    async def test_what_an_agent_before_this_one_has_prepared(self, files, folder, checked):
        await files.prepare([checked(folder / "a.conf")])
        await DiskFiles(ProcessCommands(), [str(folder)]).discard([f"{folder}/a.conf"])
        assert names(folder) == []

    async def test_what_a_crash_has_left_is_cleaned_by_the_next_installation(self, files, folder, checked):
        await files.prepare([checked(folder / "a.conf", "older")])
        await DiskFiles(ProcessCommands(), [str(folder)]).install([checked(folder / "a.conf")])
        assert (names(folder), (folder / "a.conf").read_text()) == (["a.conf"], "new")

    async def test_nothing(self, files, folder):
        await files.discard([f"{folder}/a.conf", f"{folder}/no/where", "/elsewhere/a.conf"])
        assert names(folder) == []
