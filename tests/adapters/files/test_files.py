"""Configuration files on a real disk: all or nothing, whatever the disk says."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from relocd.adapters.files.files import DiskFiles
from relocd.adapters.units.commands import ProcessCommands
from relocd.errors import Failed, Invalid
from relocd.model.host import FileState, NewFile
from tests.adapters.files.lab import PATIENCE_S, names, run


def new(target: Path | str, content: str = "new", **more) -> NewFile:
    data = content.encode()
    return NewFile(str(target), data, sha256(data).hexdigest(), **more)


@pytest.fixture
def small(folder):
    """A file system of 64 kB in the folder."""
    path = folder / "small"
    path.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path)
    yield path
    run("umount", path)


class TestKeep:
    async def test_a_file_has_another_name_with_the_same_owner_and_mode(self, files, folder):
        target = folder / "a.conf"
        target.write_text("by hand")
        target.chmod(0o604)
        await files.keep(str(target))
        await files.install([new(target)])
        kept = folder / "a.conf.relocd-orig"
        assert (kept.read_text(), stat.S_IMODE(kept.stat().st_mode)) == ("by hand", 0o604)
        assert target.read_text() == "new"

    async def test_a_symbolic_link_is_kept_as_a_link(self, files, folder):
        (folder / "a.conf").symlink_to("elsewhere")
        await files.keep(str(folder / "a.conf"))
        assert (folder / "a.conf.relocd-orig").readlink() == Path("elsewhere")

    async def test_doing_it_again_adds_no_name_and_another_file_gets_a_number(self, files, folder):
        target = folder / "a.conf"
        for content in ("first", "second"):
            target.unlink(missing_ok=True)
            target.write_text(content)
            await files.keep(str(target))
            await files.keep(str(target))
        assert names(folder) == ["a.conf", "a.conf.relocd-orig", "a.conf.relocd-orig.1"]
        assert (folder / "a.conf.relocd-orig").read_text() == "first"

    async def test_where_there_is_no_file_nothing_is_made(self, files, folder):
        (folder / "folder").mkdir()
        await files.keep(str(folder / "folder"))
        await files.keep(str(folder / "a.conf"))
        assert names(folder) == ["folder"]


class TestInstall:
    async def test_a_new_file_has_content_owner_and_mode(self, files, folder):
        target = folder / "a.conf"
        await files.install([new(target, owner="daemon", group="adm", mode=0o640)])
        found = target.stat()
        assert target.read_text() == "new"
        assert (pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid).gr_name) == ("daemon", "adm")
        assert stat.S_IMODE(found.st_mode) == 0o640
        assert names(folder) == ["a.conf"]

    async def test_the_mode_is_not_narrowed_by_the_umask(self, files, folder):
        before = os.umask(0o077)
        try:
            await files.install([new(folder / "a.conf", mode=0o664)])
        finally:
            os.umask(before)
        assert stat.S_IMODE((folder / "a.conf").stat().st_mode) == 0o664

    async def test_what_is_right_is_not_touched(self, files, folder):
        await files.install([new(folder / "a.conf")])
        before = ((folder / "a.conf").stat(), folder.stat().st_mtime_ns)
        await files.install([new(folder / "a.conf", checks=(("false", "{file}"),))])
        after = ((folder / "a.conf").stat(), folder.stat().st_mtime_ns)
        assert before[0].st_ino == after[0].st_ino
        assert before[0].st_ctime_ns == after[0].st_ctime_ns

    async def test_only_owner_and_mode_are_corrected_in_place(self, files, folder):
        await files.install([new(folder / "a.conf")])
        inode = (folder / "a.conf").stat().st_ino
        await files.install([new(folder / "a.conf", owner="daemon", mode=0o600)])
        found = (folder / "a.conf").stat()
        assert found.st_ino == inode
        assert (pwd.getpwuid(found.st_uid).pw_name, stat.S_IMODE(found.st_mode)) == ("daemon", 0o600)

    async def test_an_open_old_file_keeps_its_content(self, files, folder):
        """A reader never sees half a file: the new one is another file under the old name."""
        (folder / "a.conf").write_text("old")
        with (folder / "a.conf").open() as reader:
            await files.install([new(folder / "a.conf")])
            assert reader.read() == "old"
        assert (folder / "a.conf").read_text() == "new"

    async def test_a_link_is_replaced_and_not_followed(self, files, folder, tmp_path):
        (tmp_path / "other").write_text("other")
        (folder / "a.conf").symlink_to(tmp_path / "other")
        await files.install([new(folder / "a.conf", "other")])
        assert not (folder / "a.conf").is_symlink()
        assert (folder / "a.conf").read_text() == (tmp_path / "other").read_text() == "other"

    @pytest.mark.parametrize("left", [".relocd-new.a.conf", ".relocd-old.a.conf"])
    @pytest.mark.parametrize("current", ["old", "new"])
    async def test_what_a_crash_has_left_is_cleaned_away(self, files, folder, left, current):
        (folder / "a.conf").write_text(current)
        (folder / left).write_text("left")
        await files.install([new(folder / "a.conf")])
        assert names(folder) == ["a.conf"]
        assert (folder / "a.conf").read_text() == "new"

    async def test_a_link_where_the_new_file_is_to_be_written_is_not_followed(self, files, folder, tmp_path):
        (tmp_path / "victim").write_text("precious")
        (folder / ".relocd-new.a.conf").symlink_to(tmp_path / "victim")
        await files.install([new(folder / "a.conf")])
        assert (tmp_path / "victim").read_text() == "precious"
        assert (folder / "a.conf").read_text() == "new"


class TestChecks:
    async def test_a_check_sees_the_new_file_beside_the_old_with_its_owner_and_mode(self, files, folder, tmp_path):
        (folder / "a.conf").write_text("old")
        report = tmp_path / "report"
        check = ("sh", "-c", f'stat -c "%n %U %a" "$1" >{report}; cat "$1" {folder}/a.conf >>{report}', "sh", "{file}")
        await files.install([new(folder / "a.conf", owner="daemon", mode=0o604, checks=(check,))])
        assert report.read_text() == f"{folder}/.relocd-new.a.conf daemon 604\nnewold"

    async def test_one_refused_file_leaves_all_old_ones_in_place(self, files, folder):
        (folder / "a.conf").write_text("old a")
        refusing = ("sh", "-c", "echo line 3 is wrong >&2; exit 1", "{file}")
        with pytest.raises(Failed) as caught:
            await files.install([new(folder / "a.conf"), new(folder / "b.conf", checks=(refusing,))])
        assert str(caught.value).startswith(f"{folder}/b.conf: the check 'sh -c ")
        assert "line 3 is wrong" in str(caught.value)
        assert names(folder) == ["a.conf"]
        assert (folder / "a.conf").read_text() == "old a"

    async def test_owner_and_mode_wait_for_the_checks_too(self, files, folder):
        await files.install([new(folder / "a.conf", mode=0o600)])
        with pytest.raises(Failed):
            await files.install([new(folder / "a.conf", mode=0o644), new(folder / "b.conf", checks=(("false",),))])
        assert stat.S_IMODE((folder / "a.conf").stat().st_mode) == 0o600

    async def test_a_check_that_hangs_is_ended(self, files, folder):
        hanging = new(folder / "a.conf", checks=(("sleep", "60", "{file}"),), check_timeout_s=0.1)
        with pytest.raises(Failed, match=f"{folder}/a.conf: the check"):
            await files.install([hanging])
        assert names(folder) == []

    async def test_the_words_of_a_check_on_a_secret_are_not_shown(self, files, folder):
        check = ("sh", "-c", 'cat "$1" >&2; exit 1', "sh", "{file}")
        with pytest.raises(Failed) as caught:
            await files.install([new(folder / "a.conf", "xyzzy", checks=(check,), secret=True)])
        assert "has a secret" in str(caught.value)
        assert "xyzzy" not in str(caught.value)
        assert caught.value.__suppress_context__

    async def test_a_cancelled_installation_leaves_nothing(self, files, folder, tmp_path):
        started = tmp_path / "started"
        check = ("sh", "-c", f"touch {started}; exec sleep 60", "{file}")
        task = asyncio.create_task(files.install([new(folder / "a.conf", checks=(check,), check_timeout_s=60)]))
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(started.exists):
                await asyncio.wait([task], timeout=0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert names(folder) == []


class TestGuard:
    async def test_a_target_elsewhere(self, files, tmp_path):
        with pytest.raises(
            Invalid, match=f"{tmp_path}/a.conf would be written in {tmp_path}, which is not below one of"
        ):
            await files.install([new(tmp_path / "a.conf")])
        assert names(tmp_path) == ["etc"]

    async def test_a_link_on_the_way_that_leads_out(self, files, folder, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "b.conf").write_text("kept")
        (folder / "sub").symlink_to(tmp_path / "out")
        with pytest.raises(Invalid, match=f"{folder}/sub/a.conf would be written in {tmp_path}/out"):
            await files.install([new(folder / "sub" / "a.conf")])
        with pytest.raises(Invalid, match="correct the symbolic link"):
            await files.remove(f"{folder}/sub/b.conf")
        assert names(tmp_path / "out") == ["b.conf"]

    async def test_a_link_on_the_way_that_stays_within(self, files, folder):
        (folder / "real").mkdir()
        (folder / "sub").symlink_to("real")
        await files.install([new(folder / "sub" / "a.conf")])
        assert names(folder / "real") == ["a.conf"]

    async def test_an_allowed_folder_may_itself_be_a_link(self, folder, tmp_path):
        (tmp_path / "link").symlink_to(folder)
        await DiskFiles(ProcessCommands(), [str(tmp_path / "link")]).install([new(tmp_path / "link" / "a.conf")])
        assert names(folder) == ["a.conf"]

    async def test_an_allowed_folder_that_is_a_link_to_itself_allows_nothing(self, folder, tmp_path):
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(Invalid, match=f"not below one of the allowed folders \\({tmp_path}/loop\\)"):
            await DiskFiles(ProcessCommands(), [str(tmp_path / "loop")]).install([new(folder / "a.conf")])
        assert names(folder) == []

    async def test_no_folder_is_allowed_by_default(self, folder):
        with pytest.raises(Invalid, match=r"not below one of the allowed folders \(none\)"):
            await DiskFiles(ProcessCommands(), []).install([new(folder / "a.conf")])


class TestErrors:
    async def test_a_folder_that_is_missing_is_not_made(self, files, folder):
        with pytest.raises(Invalid, match=f"the folder {folder}/no/where does not exist; create it: mkdir -p {folder}"):
            await files.install([new(folder / "no" / "where" / "a.conf")])

    @pytest.mark.parametrize(("key", "what"), [("owner", "user"), ("group", "group")])
    async def test_a_user_or_group_that_is_missing(self, files, folder, key, what):
        with pytest.raises(
            Invalid, match=f"{folder}/a.conf: this server has no {what} 'no-such'; create it or correct"
        ):
            await files.install([new(folder / "a.conf", **{key: "no-such"})])
        assert names(folder) == []

    async def test_a_folder_in_the_place_of_the_target(self, files, folder):
        (folder / "a.conf").mkdir()
        with pytest.raises(Invalid, match="is not a regular file; move it away"):
            await files.install([new(folder / "a.conf")])
        assert names(folder) == ["a.conf"]

    async def test_a_file_in_the_place_of_the_folder(self, files, folder):
        (folder / "sub").write_text("")
        with pytest.raises(Failed, match="Not a directory"):
            await files.install([new(folder / "sub" / "a.conf")])

    async def test_two_files_for_one_target(self, files, folder):
        with pytest.raises(Invalid, match="two files have the same target"):
            await files.install([new(folder / "a.conf"), new(folder / "a.conf", "other")])

    async def test_a_full_disk(self, files, folder, small):
        (small / "b.conf").write_text("old")
        with pytest.raises(Failed, match=f"{small}/b.conf: the file system is full; make room"):
            await files.install([new(folder / "a.conf"), new(small / "b.conf", "x" * 100_000)])
        assert names(folder) == ["small"]
        assert (names(small), (small / "b.conf").read_text()) == (["b.conf"], "old")

    async def test_a_read_only_disk(self, files, small):
        (small / "a.conf").write_text("old")
        run("mount", "-o", "remount,ro", small)
        with pytest.raises(Failed, match=f"{small}/a.conf: the file system is read-only; mount it writable"):
            await files.install([new(small / "a.conf")])
        with pytest.raises(Failed, match="read-only"):
            await files.remove(f"{small}/a.conf")
        assert (await files.states([f"{small}/a.conf"]))[f"{small}/a.conf"] is not None

    @pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)], ids=["first", "last"])
    async def test_a_rename_that_fails_brings_the_renamed_ones_back(self, files, folder, order):
        """A file that is a mount point can be written beside, but not replaced: only the rename finds out."""
        (folder / "a.conf").write_text("old a")
        (folder / "fixed.conf").write_text("old")
        run("mount", "--bind", folder / "fixed.conf", folder / "fixed.conf")
        try:
            with pytest.raises(Failed, match=f"{folder}/fixed.conf: it is a mount point; mount its folder"):
                await files.install([new(folder / name) for name in ("a.conf", "b.conf", "fixed.conf")][order])
        finally:
            run("umount", folder / "fixed.conf")
        assert names(folder) == ["a.conf", "fixed.conf"]
        assert (folder / "a.conf").read_text() == "old a"

    async def test_a_name_that_is_too_long(self, files, folder):
        with pytest.raises(Failed, match="File name too long"):
            await files.install([new(folder / ("x" * 250))])


class TestRemove:
    async def test_a_file_and_what_was_left_beside_it(self, files, folder):
        for name in ("a.conf", ".relocd-new.a.conf", "b.conf"):
            (folder / name).write_text("")
        await files.remove(f"{folder}/a.conf")
        assert names(folder) == ["b.conf"]

    async def test_a_link_and_not_what_it_leads_to(self, files, folder):
        (folder / "b.conf").write_text("")
        (folder / "a.conf").symlink_to("b.conf")
        await files.remove(f"{folder}/a.conf")
        assert names(folder) == ["b.conf"]

    @pytest.mark.parametrize("target", ["a.conf", "no/where/a.conf"])
    async def test_nothing(self, files, folder, target):
        await files.remove(f"{folder}/{target}")

    async def test_a_folder(self, files, folder):
        (folder / "sub").mkdir()
        with pytest.raises(Failed, match=f"{folder}/sub: "):
            await files.remove(f"{folder}/sub")


class TestStates:
    async def test_what_is_there(self, files, folder):
        (folder / "a").write_text("x")
        os.chown(folder / "a", pwd.getpwnam("daemon").pw_uid, 54321)
        (folder / "a").chmod(0o604)
        (folder / "link").symlink_to("a")
        (folder / "sub").mkdir(mode=0o700)
        os.mkfifo(folder / "pipe", 0o600)
        found = await files.states([f"{folder}/{name}" for name in ("a", "link", "sub", "pipe", "no", "a/b", "no/b")])
        assert found == {
            f"{folder}/a": FileState(sha256(b"x").hexdigest(), "daemon", "54321", 0o604),
            f"{folder}/link": FileState("", "root", "root", 0o777),
            f"{folder}/sub": FileState("", "root", "root", 0o700),
            f"{folder}/pipe": FileState("", "root", "root", 0o600),
            f"{folder}/no": None,
            f"{folder}/a/b": None,
            f"{folder}/no/b": None,
        }

    async def test_an_installed_file_is_what_was_asked_for(self, files, folder):
        file = new(folder / "a.conf", "x" * 200_000, owner="daemon", group="adm", mode=0o600)
        await files.install([file])
        assert await files.states([file.target]) == {file.target: FileState(file.digest, "daemon", "adm", 0o600)}

    async def test_content(self, files, folder):
        (folder / "a").write_bytes(b"\x00\xff")
        (folder / "link").symlink_to("a")
        os.mkfifo(folder / "pipe")
        assert await files.content(f"{folder}/a") == b"\x00\xff"
        assert [await files.content(f"{folder}/{name}") for name in ("link", "pipe", "no", "")] == [None] * 4
