"""Template sets on a real disk: manifests, and who may write them."""

from __future__ import annotations

import os

import pytest

from relocd.adapters.templates.template_sets import FolderTemplateSets
from relocd.errors import Invalid
from relocd.model.template_set import (
    Command,
    Declared,
    FileSpec,
    First,
    Moment,
    Role,
    Scope,
    UnitAction,
    UnitSpec,
)
from tests.adapters.templates.set_writing import MANIFEST, write_set

NOBODY = 65534


PORT = 'pattern = "{port}"\nmax_length = 5\nhelp = "where it listens"\n'
DECLARATIONS = [
    (PORT.replace("{port}", "(a"), 2, "pattern is not a regular expression: missing )"),
    (PORT.replace("{port}", "{prot}"), 2, "pattern has {prot}; the words in braces are {ipv4}"),
    (PORT.replace("{port}", ""), 2, "pattern is empty"),
    (PORT.replace("= 5", "= 0"), 3, "max_length is 0; write a number of bytes from 1"),
    (PORT.replace("= 5", "= 65537"), 3, "max_length is 65537"),
    (PORT.replace("where it listens", ""), 4, "help is empty"),
    (PORT + 'default = "0"', 5, "default is '0', which does not match {port}"),
    (PORT + 'default = "80"\nrequired = true', 5, 'default is given, but "required" means'),
    (PORT + "default = 80", 5, "default is 80; write a string"),
]


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
            max_line = 1000
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
        (file,) = found.files
        assert file == FileSpec("a.j2", "/etc/a/{name}.conf", "daemon", "adm", 0o604, frozenset(Role), checks, 1000)
        unit = UnitSpec("a@{name}.service", UnitAction.RELOAD, UnitAction.START, UnitAction.NONE, UnitAction.NONE)
        assert found.units == (unit,)
        assert found.commands == (Command(Moment.CHANGE, ("tell", "{name}"), 3.0),)

    def test_defaults_are_those_of_the_model(self, sets, folder):
        write_set(folder / "a", MANIFEST + '[[unit]]\nname = "a.service"\n')
        found = sets.get("a")
        assert found.files == (FileSpec("a.j2", "/etc/a/{name}.conf"),)
        assert found.units == (UnitSpec("a.service"),)

    def test_declarations_close_the_set_for_other_values(self, sets, folder):
        write_set(folder / "a", MANIFEST + "[parameters.port]\n" + PORT + 'default = "80"\n[secrets.a]\n' + PORT)
        write_set(folder / "b", MANIFEST + "[parameters]\n")
        write_set(folder / "c", MANIFEST)
        assert sets.get("a").parameters == (Declared("port", "{port}", 5, "where it listens", default="80"),)
        assert sets.get("a").secrets == (Declared("a", "{port}", 5, "where it listens"),)
        assert [sets.get(name).closed for name in "abc"] == [True, True, False]

    def test_one_target_may_have_a_source_for_each_role(self, sets, folder):
        standby = '[[file]]\nsource = "b.j2"\ntarget = "/etc/a/{name}.conf"\nroles = ["standby"]\n'
        write_set(folder / "a", MANIFEST + standby, b="y")
        assert [file.source for file in sets.get("a").files] == ["a.j2", "b.j2"]

    @pytest.mark.parametrize(
        ("manifest", "message"),
        [
            pytest.param("x = ", "manifest.toml line 1: this is not TOML", id="syntax"),
            *(
                pytest.param(
                    "[parameters.a]\n" + table, f"manifest.toml line {line}: [parameters.a] {message}", id=message
                )
                for table, line, message in DECLARATIONS
            ),
            pytest.param("[parameters.'a b']\n" + PORT, "is not a name of a parameter", id="name of a parameter"),
            pytest.param('[secrets.a]\ndefault = "1"\n' + PORT, "[secrets.a] default is given; a secret", id="secret"),
            pytest.param(MANIFEST + "max_line = 0", "[[file]] 1: max_line is 0; write a number", id="no line"),
            pytest.param(
                MANIFEST + '[[file]]\nsorce = "a.j2"\n',
                "manifest.toml line 6: [[file]] 2: unknown key 'sorce'; known are checks, group, max_line,",
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
                "line 3: [[file]] 1: source 'b.j2' is not a file of this folder; its files are a.j2",
                id="a source that is not there",
            ),
            pytest.param(
                MANIFEST.replace("a.j2", "../sets/a/a.j2"),
                "is not a file of this folder",
                id="a source by way of the parent",
            ),
            pytest.param(
                MANIFEST.replace("a.j2", "/etc/passwd"), "is not a file of this folder", id="a source elsewhere"
            ),
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
                MANIFEST.replace("/etc/a", "/etc/\\u0007"), "characters that cannot be printed", id="target bell"
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
                "line 8: [[file]] 2: target is also the target of [[file]] 1 in the role active; keep one",
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
    def test_a_wrong_key_is_named(self, sets, folder, manifest, message):
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
        with pytest.raises(Invalid, match="never a path"):
            sets.get(name)

    def test_the_first_folder_is_used(self, tmp_path, folder, shipped):
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
    def test_a_file_that_others_can_write_is_refused(self, sets, folder, name, mode):
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
    def test_a_file_of_another_owner_is_refused(self, sets, folder, name):
        path = (write_set(folder / "a") / name).resolve()
        os.chown(path, NOBODY, -1)
        with pytest.raises(
            Invalid, match=f"{path} belongs to nobody, who could change what root runs; run: chown root"
        ):
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
        with pytest.raises(Invalid, match="pipe is not a regular file"):
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
