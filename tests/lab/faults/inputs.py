"""Files that an agent reads, when they are wrong or cannot be read."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from tests.lab.faults.kind import Kind
from tests.lab.hosts.node import Node
from tests.lab.hosts.stage import FILE
from tests.lab.timeline import Claim

__all__ = ["BadConfiguration", "BadSet", "DescriptorsShort", "ModeUnreadable"]

_DEEP: Final = "x = " + "[" * 3000 + "]" * 3000 + "\n"
_LOOK_S: Final = 2.0


def _odd_name(folder: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9.j2")).write_text("x")


def _circle(folder: Path) -> None:
    (folder / "circle.j2").symlink_to("circle.j2")


def _deep(folder: Path) -> None:
    (folder / "manifest.toml").write_text(_DEEP)


class BadSet(Kind):
    """One bad template set harms its own services, and neither the agent nor the next start of it."""

    name = "bad-set"
    what = "a template set with a name that is not UTF-8, a link to itself, or TOML 3,000 deep"

    _spoils: tuple[Callable[[Path], None], ...] = (_odd_name, _circle, _deep)

    def disturb(self) -> None:
        rig = self.rig
        for name in rig.names:
            rig.stage.template_set(name, "bad", FILE)
            self._spoils[(self.number - 1) % len(self._spoils)](rig.stage.folder / name / "sets" / "bad")
        rig.serve_also("mail", self.old, template_sets=["bad"], relocExclusive="FALSE")
        rig.watch_for(_LOOK_S)
        self.found = [rig.alive()]
        rig.node(self.old).stop()
        rig.node(self.old).launch()
        rig.watch_for(_LOOK_S)
        self.found.append(rig.alive())

    def heal(self) -> None:
        rig = self.rig
        for name in rig.names:
            folder = rig.stage.folder / name / "sets" / "bad"
            for path in [*folder.iterdir()]:
                path.unlink()
            folder.rmdir()
        rig.revive()
        rig.forget("mail", self.old)

    def ends_at(self) -> Sequence[str]:
        return [self.old]

    def claims(self) -> Iterable[Claim]:
        return self.found


class BadConfiguration(Kind):
    """A configuration that is wrong is refused with a hangup, and the old one stays in force."""

    name = "bad-configuration"
    what = "the configuration or the password file is spoilt in five ways, each followed by SIGHUP"

    def disturb(self) -> None:
        node = self.rig.node(self.old)
        good, password = node.config.read_bytes(), node.folder / "password"
        secret = password.read_bytes()
        self.began_ns, self.found = time.monotonic_ns(), []
        for title, config, word in (
            ("nested 3,000 deep", good + _DEEP.encode(), secret),
            ("a size that is infinite", good.replace(b"[agent]", b"[agent]\nspare_mib = inf"), secret),
            ("a limit that is no number", good.replace(b"timeout_s = 1.0", b"timeout_s = nan"), secret),
            ("not UTF-8", good + b"# caf\xe9\n", secret),
            ("a password that is not UTF-8", good, b"caf\xe9\n"),
        ):
            node.config.write_bytes(config)
            password.write_bytes(word)
            self._hang_up(node, title)
        node.config.write_bytes(good)
        password.write_bytes(secret)

    def _hang_up(self, node: Node, title: str) -> None:
        """Judge what one of them does; an agent that has ended is started again with the good one at the healing."""
        if node.agent.poll() is None:
            node.agent.send_signal(signal.SIGHUP)
            self.rig.watch_for(0.7, lambda: node.agent.poll() is not None)
            lives = node.agent.poll() is None
            self.found.append(Claim(f"the agent outlives a configuration: {title}", lives, node.log_text()[-800:]))

    def heal(self) -> None:
        self.rig.revive()
        self.rig.node(self.old).agent.send_signal(signal.SIGHUP)

    def ends_at(self) -> Sequence[str]:
        return [self.old]

    def claims(self) -> Iterable[Claim]:
        yield from self.found
        lines = self.rig.lines(self.old, self.began_ns)
        refused = sum(line.message == "the new configuration is not used" for line in lines)
        yield Claim("four configurations are refused", refused >= 4, f"{refused}")


class ModeUnreadable(Kind):
    """A paused agent whose mode cannot be read any more stays paused."""

    name = "mode-unreadable"
    what = "a paused agent's mode file says nonsense, is a circle of links, or there are no descriptors left"

    def disturb(self) -> None:
        rig = self.rig
        node = rig.node(self.new)
        _command("pause", node)
        (self._nonsense, self._circle, self._squeeze)[(self.number - 1) % 3](node)
        rig.order(self.new)
        rig.watch_for(_LOOK_S)
        self.observed = f"{rig.stage.holders()}, {rig.state(self.old)}"
        self.stayed = self.new not in rig.stage.holders() and rig.state(self.old).holder == self.old

    def _nonsense(self, node: Node) -> None:
        self._mode(node).write_text("nonsense\n")

    def _circle(self, node: Node) -> None:
        self._mode(node).unlink()
        self._mode(node).symlink_to(self._mode(node).name)

    @staticmethod
    def _squeeze(node: Node) -> None:
        squeeze(node)

    @staticmethod
    def _mode(node: Node) -> Path:
        return node.folder / "run" / "mode"

    def heal(self) -> None:
        node = self.rig.node(self.new)
        relax(node)
        self._mode(node).unlink(missing_ok=True)
        _command("resume", node)

    def claims(self) -> Iterable[Claim]:
        yield Claim("the paused agent takes nothing", self.stayed, self.observed)


class DescriptorsShort(Kind):
    """A template set changes while descriptors are short: what could not be read is read again."""

    name = "descriptors-short"
    what = "the server that is linked has no descriptors left for two seconds while its template set changes"

    def disturb(self) -> None:
        rig = self.rig
        squeeze(rig.node(self.new))
        path = rig.stage.folder / self.new / "sets" / "unit" / "plain.j2"
        path.write_text(path.read_text())
        rig.order(self.new)
        rig.watch_for(_LOOK_S)

    def heal(self) -> None:
        relax(self.rig.node(self.new))

    def claims(self) -> Iterable[Claim]:
        yield self.rig.alive()


def squeeze(node: Node) -> None:
    """Leave an agent no descriptor beyond those that it has: the limit is the first free number."""
    pid = node.agent.pid
    used = {int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()}
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(set(range(len(used) + 1)) - used), hard))


def relax(node: Node) -> None:
    """Give it as many as it may have."""
    _, hard = resource.prlimit(node.agent.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(node.agent.pid, resource.RLIMIT_NOFILE, (hard, hard))


def _command(word: str, node: Node) -> None:
    program = str(Path(sys.executable).with_name("relocd"))
    argv = [program, word, "--status", str(node.folder / "run" / "status.json")]
    subprocess.run(argv, check=True, capture_output=True, timeout=30)
