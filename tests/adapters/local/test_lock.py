"""One acting process on a server: another process is refused by name, and let in after the first has ended."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from relocd.adapters.local.lock import sole
from relocd.errors import Fatal

HOLD = (
    "import sys; from pathlib import Path; from relocd.adapters.local.lock import sole\nwith sole(Path(sys.argv[1])):\n"
)


def other_process(folder, then):
    return [sys.executable, "-c", f"{HOLD}    {then}", str(folder)]


def test_another_process_is_refused_and_told_who_holds_it(tmp_path):
    with sole(tmp_path / "run"):
        found = subprocess.run(other_process(tmp_path / "run", "pass"), capture_output=True, text=True, timeout=20)
    assert found.returncode != 0
    assert f"an agent already runs on this server (process {os.getpid()} holds {tmp_path}/run/lock)" in found.stderr


def test_it_is_free_after_the_process_was_killed(tmp_path):
    then = "print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(other_process(tmp_path, then), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(Fatal, match=f"process {process.pid} holds"), sole(tmp_path):
            pass
        process.kill()
    with sole(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_it_can_be_taken_again_and_again(tmp_path):
    for _ in range(2):
        with sole(tmp_path):
            pass


def test_a_folder_that_cannot_be_names_the_setting(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(Fatal, match=r"file/run/lock: cannot be opened .*correct \[paths\] run"),
        sole(tmp_path / "file/run"),
    ):
        pass
