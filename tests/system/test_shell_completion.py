"""Completion as somebody at a terminal meets it: real shells, with the scripts where `relocd install` puts them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.orders_lab import access, environment, guarded_directory
from tests.lab.slapd.ldif import record
from tests.lab.slapd.slapd import SUFFIX, Slapd
from tests.system.typist import PROMPT, Typist

RELOCD = str(Path(sys.executable).with_name("relocd"))
STARTS = {
    "bash": (["bash", "--norc", "-i"], "source {share}/bash-completion/completions/relocd"),
    "zsh": (["zsh", "-f", "-i"], "fpath=({share}/zsh/site-functions $fpath); autoload -Uz compinit; compinit -u -D"),
    "fish": (["fish", "--no-config", "-i"], "source {share}/fish/vendor_completions.d/relocd.fish"),
}
PROMPTS = {"fish": f"function fish_prompt; echo -n '{PROMPT}'; end"}


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    subprocess.run([RELOCD, "install", "completion", "--root", str(root)], check=True, capture_output=True, timeout=30)
    return root / "usr/local/share"


@pytest.mark.parametrize("shell", STARTS)
def test_a_shell_completes_commands_options_values_and_files(shell: str, share: Path, tmp_path: Path) -> None:
    """What is typed with Tab runs as if it were typed in full."""
    (tmp_path / "myfile").write_text('[server]\ndn = "no name"\n')
    argv, start = STARTS[shell]
    own = os.environ | {"PATH": f"{Path(RELOCD).parent}:{os.environ['PATH']}", "TERM": "dumb", "HOME": str(tmp_path)}
    with Typist(argv, own | {"PS1": PROMPT, "XDG_CONFIG_HOME": str(tmp_path)}, tmp_path) as typist:
        typist.types(f"{PROMPTS.get(shell, f'PS1={PROMPT!r}')}; {start.format(share=share)}; echo be''gin\n", "begin")
        for keys, shown in (
            ("relocd sch\t", "ema"),
            ("--for\t", "mat"),
            ("l\t", "dif"),
            ("\n", "dn: cn=relocd,cn=schema"),
        ):
            typist.types(keys, shown)
        for keys, shown in (("relocd check --con\t", "fig"), ("myf\t", "ile"), ("\n", "myfile line 1: ")):
            typist.types(keys, shown)


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Slapd, Path]]:
    folder = tmp_path_factory.mktemp("names")
    with guarded_directory(folder) as slapd:
        odd = f"cn=w$(id),ou=services,{SUFFIX}"
        slapd.add(record(odd, {"objectClass": "relocService"}))
        yield slapd, folder


def completed(line: str, **more: str) -> list[str]:
    """What the script of bash would be told for the last word of a line."""
    asked = {"_RELOCD_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = subprocess.run(
        [RELOCD], capture_output=True, text=True, timeout=30, check=True, env=os.environ | asked | more
    )
    assert done.stderr == ""
    return [word.removeprefix("plain,") for word in done.stdout.split()]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        pytest.param("relocd link ", ["fax", "mail", "twin", "web"], id="services"),
        pytest.param("relocd link w", ["web"], id="a service, and none that a shell would carry out"),
        pytest.param("relocd link web n", ["node1", "node2", "node3"], id="servers"),
        pytest.param("relocd failover node1 --to node2", ["node2"], id="the other server"),
        pytest.param("relocd activate p", ["pair"], id="clusters"),
        pytest.param("relocd explain m", ["mail"], id="the service that is asked about"),
    ],
)
def test_names_come_from_the_directory(slapd: tuple[Slapd, Path], line: str, names: list[str]) -> None:
    directory, folder = slapd
    assert completed(line, **environment(access(folder, directory.uri))) == names


def test_options_on_the_line_say_which_directory(slapd: tuple[Slapd, Path]) -> None:
    directory, _ = slapd
    assert completed(f"relocd link --external --base {SUFFIX} --uri {directory.ldapi_uri} ma") == ["mail"]


@pytest.mark.parametrize("uri", ["", "ldap://127.0.0.1:1", "http://x", "\udcff"])
def test_without_a_directory_there_are_no_names_and_no_message(uri: str) -> None:
    assert completed("relocd link ", RELOCD_URI=uri, RELOCD_BASE=SUFFIX) == []
