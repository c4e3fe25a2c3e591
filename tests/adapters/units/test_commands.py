"""Programs are run by argument list, in a group of their own, with a time limit, and are never left behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from relocd.adapters.units import commands
from relocd.adapters.units.commands import Ended, ProcessCommands, ended
from relocd.errors import Failed, Invalid
from relocd.model.masking import told
from tests.lab.deadline import eventually

LONG_S = 30.0


def shell(script, *arguments):
    return ("sh", "-c", script, "sh", *map(str, arguments))


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def pids_in(path, count):
    await eventually(lambda: path.exists() and len(path.read_text().split()) == count)
    return [int(pid) for pid in path.read_text().split()]


class TestOutcome:
    async def test_success_says_nothing(self):
        await ProcessCommands().run(("true",), LONG_S)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            pytest.param(("false",), "false ended with status 1", id="a status without a word"),
            pytest.param(shell("echo no >&2; exit 3"), r"ended with status 3: no$", id="standard error"),
            pytest.param(shell("echo one; echo two >&2; exit 1"), r": one \| two$", id="both outputs in order"),
            pytest.param(shell("printf 'a\\033[1mb\\n\\n  c \\n'; exit 1"), r": a\\x1b\[1mb \| c$", id="unprintable"),
            pytest.param(shell("printf '\\377\\n'; exit 1"), ": \N{REPLACEMENT CHARACTER}$", id="not UTF-8"),
            pytest.param(shell("printf 'one%01000d two\\n' 0; exit 1"), r": \.\.\. two$", id="cut between words"),
            pytest.param(shell("printf 'one%01000d\\n' 0; exit 1"), r": \.\.\. $", id="a word that would be cut"),
            pytest.param(shell("kill -SEGV $$"), "was killed by SIGSEGV", id="killed"),
            pytest.param(shell("kill -40 $$"), "was killed by signal 40", id="killed by a signal without a name"),
            pytest.param(("relocd-nowhere", "x"), "relocd-nowhere cannot be started: No such file", id="missing"),
            pytest.param(("/etc/passwd",), "/etc/passwd cannot be started: Permission denied", id="not a program"),
        ],
    )
    async def test_failure_says_what_and_why(self, arguments, message):
        with pytest.raises(Failed) as failed:
            await ProcessCommands().run(arguments, LONG_S)
        assert re.search(message, told(failed.value, ()))

    async def test_no_message_holds_what_a_program_said(self):
        with pytest.raises(Failed) as failed:
            await ProcessCommands().run(shell("echo mieheg | rev; exit 1"), LONG_S)
        assert failed.value.words == "geheim\n"
        assert "geheim" not in str(failed.value)

    @pytest.mark.parametrize("arguments", [(), ("echo", "a\0b")], ids=["nothing", "a null byte"])
    async def test_what_cannot_be_arguments_is_invalid(self, arguments):
        with pytest.raises(Invalid):
            await ProcessCommands().run(arguments, LONG_S)

    async def test_status_and_output_are_values(self):
        assert await ended(shell("echo text; exit 7"), LONG_S) == Ended(7, "text\n")

    async def test_only_the_end_of_much_output_is_kept(self):
        result = await ended(shell("yes filler | head -c 3000000; echo; echo the end"), LONG_S)
        assert result.output.endswith("\nthe end\n")
        assert len(result.output) <= 65536

    async def test_arguments_reach_no_shell(self, tmp_path):
        result = await ended(("printf", "%s", f"$(touch {tmp_path}/made)"), LONG_S)
        assert result.output == f"$(touch {tmp_path}/made)"
        assert not (tmp_path / "made").exists()


class TestSurroundings:
    async def test_environment_is_clean(self, monkeypatch):
        monkeypatch.setenv("NOTIFY_SOCKET", "/run/elsewhere")
        result = await ended(("env",), LONG_S)
        assert sorted(line.partition("=")[0] for line in result.output.splitlines()) == ["LANG", "PATH"]

    async def test_stdin_is_empty_and_the_folder_is_the_root(self):
        assert await ended(shell("cat; pwd; umask"), LONG_S) == Ended(0, "/\n0022\n")

    async def test_it_leads_its_own_session_and_group(self):
        result = await ended(shell("cut -d' ' -f1,5,6 /proc/self/stat; echo $$"), LONG_S)
        numbers, leader = result.output.splitlines()
        assert numbers.split()[1:] == [leader, leader]
        assert os.getpgrp() != int(leader)

    async def test_no_descriptor_of_the_agent_is_inherited(self, tmp_path):
        with (tmp_path / "secret").open("w") as secret:
            os.set_inheritable(secret.fileno(), True)
            result = await ended(("ls", "/proc/self/fd"), LONG_S)
        assert result.output.split() == ["0", "1", "2", "3"]  # 3 is the folder that ls reads


class TestTimeLimit:
    async def test_the_whole_group_is_killed(self, tmp_path):
        """Also what a script has put in the background dies with it."""
        pids = tmp_path / "pids"
        with pytest.raises(Failed, match=r"did not end within 0\.2 s and was killed$") as failed:
            await ended(shell('sleep 99 & echo $! $$ >"$1"; echo waiting; wait', pids), 0.2)
        assert failed.value.words == "waiting\n"
        found = await pids_in(pids, 2)
        await eventually(lambda: not any(map(is_alive, found)))

    async def test_a_program_that_ignores_sigterm_is_killed(self):
        with pytest.raises(Failed, match="was killed"):
            await ended(shell("trap '' TERM INT HUP; sleep 99"), 0.1)

    async def test_one_that_cannot_be_killed_is_not_started_again_before_it_has_ended(self, tmp_path, monkeypatch):
        """As one that waits in the kernel for a disk that is gone: each look at it would leave one more behind."""
        pids = tmp_path / "pids"
        hanging = shell('echo $$ >>"$1"; mkdir "$1.hangs" 2>&- && exec sleep 99; exit 0', pids)
        with monkeypatch.context() as context:
            context.setattr(os, "killpg", lambda *_: None)
            for _ in range(3):
                with pytest.raises(Failed):
                    await ended(hanging, 0.1)
        (pid,) = await pids_in(pids, 1)
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not commands._undying)
        assert await ended(hanging, LONG_S) == Ended(0, "")

    async def test_a_cancelled_program_is_killed(self, tmp_path):
        pids = tmp_path / "pids"
        task = asyncio.create_task(ended(shell('echo $$ >"$1"; sleep 99', pids), LONG_S))
        (pid,) = await pids_in(pids, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not is_alive(pid)

    async def test_the_loop_turns_meanwhile(self):
        before = time.monotonic()
        await asyncio.gather(*(ended(("sleep", "0.2"), LONG_S) for _ in range(5)))
        assert time.monotonic() - before < 0.9


class TestDaemon:
    """What a program leaves in the background is not waited for and not disturbed."""

    async def test_its_starter_has_ended_though_the_output_is_open(self, tmp_path):
        pids = tmp_path / "pids"
        result = await ended(shell('sleep 99 & echo $! >"$1"; echo started', pids), LONG_S)
        assert result == Ended(0, "started\n")
        (pid,) = await pids_in(pids, 1)
        assert is_alive(pid)
        os.kill(pid, signal.SIGKILL)

    async def test_it_survives_a_word_that_nobody_hears(self, tmp_path):
        heard, done = tmp_path / "heard", tmp_path / "done"
        daemon = '(while [ ! -e "$1" ]; do sleep 0.01; done; /bin/echo word; touch "$2") &'
        await ended(shell(daemon, heard, done), LONG_S)
        heard.touch()
        await eventually(done.exists)


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_nothing_is_left_open():
    before = open_files()
    for arguments in (("true",), ("relocd-nowhere",), ("sleep", "99")):
        try:
            await ended(arguments, 0.05)
        except Failed:
            continue
    assert open_files() == before


async def test_a_start_costs_little_of_the_agents_time():
    """Started by vfork and awaited without a thread: a fork of this process would cost more than this alone."""
    before = time.process_time()
    for _ in range(50):
        await ended(("true",), LONG_S)
    assert (time.process_time() - before) / 50 < 0.002, sys.version
