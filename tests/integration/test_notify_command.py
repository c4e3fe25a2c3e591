"""`relocd notify --test`: what each target answered, and an exit code that says whether all took the event."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

RELOCD = str(Path(sys.executable).with_name("relocd"))
SMALLEST = """\
[server]
dn = "cn=node1,dc=example,dc=org"
[directory]
uris = ["ldap://127.0.0.1:1"]
base = "dc=example,dc=org"
[notify]
timeout_s = 5.0
"""


class Web(HTTPServer):
    got: list[bytes]
    status = 200


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_POST(self) -> None:
        self.server.got.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(("127.0.0.1", 0), _Handler) as server:
        server.got = []
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def relocd(folder: Path, *keys: str, test: bool = True) -> subprocess.CompletedProcess[str]:
    config = folder / "relocd.toml"
    config.write_text(SMALLEST + "\n".join(keys))
    argv = [RELOCD, "notify", "--config", str(config), *(["--test"] if test else [])]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def url(web: Web) -> str:
    return f'webhook = "http://127.0.0.1:{web.server_port}/hook/t0ken"'


def test_each_target_gets_a_test_and_its_answer_is_shown(web: Web, tmp_path: Path) -> None:
    file = tmp_path / "told"
    done = relocd(tmp_path, url(web), f'command = ["/usr/bin/tee", "{file}"]')
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(":")[0].split()[0] for line in done.stdout.splitlines()] == ["command", "webhook"]
    assert "200 OK" in done.stdout
    for told in (web.got[0], file.read_bytes()):
        event = json.loads(told)
        assert (event["event"], event["server"]) == ("test", "node1")


@pytest.mark.parametrize("status", [404, 500])
def test_one_that_does_not_take_it_is_named_and_the_others_get_it_all_the_same(
    web: Web, tmp_path: Path, status: int
) -> None:
    web.status = status
    file = tmp_path / "told"
    done = relocd(tmp_path, url(web), f'command = ["/usr/bin/tee", "{file}"]')
    assert done.returncode == 1
    assert str(status) in done.stdout
    assert "t0ken" not in done.stdout + done.stderr
    assert len(web.got) == 1
    assert file.exists()


def test_without_targets_there_is_nothing_to_try(tmp_path: Path) -> None:
    assert relocd(tmp_path).returncode == 2


def test_without_test_nothing_is_sent(web: Web, tmp_path: Path) -> None:
    assert relocd(tmp_path, url(web), test=False).returncode == 2
    assert web.got == []
