"""The health check of each shipped set against the real program: well, wrong, hanging, and gone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from relocd.adapters.health.probes import NetworkProbes
from relocd.adapters.units.commands import ProcessCommands
from relocd.errors import Failed, Invalid
from relocd.model.health import CheckKind
from relocd.reconcile.health import check_of, planned_checks
from tests.integration.shipped_lab import PATIENCE_S, context, installed, on_node, raised, shipped
from tests.lab.hosts.base_server import DATA, READER, BaseServer, data_ldif
from tests.lab.hosts.hosts import entered
from tests.lab.slapd.slapd import PASSWORD

ADDRESSES = ("192.0.2.80/24", "2001:db8::80/64")

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def checks_of(renderer, name, values):
    """The checks of a shipped set for a service."""
    planned = list(planned_checks([shipped(name)], values.service.addresses))
    texts = iter(await renderer.render([text for each in planned for text in each.texts], values))
    found = []
    for each in planned:
        rendered = [next(texts) for _ in each.texts]
        assert not any(isinstance(text, Invalid) or text.secret for text in rendered), rendered
        found.append(check_of(each, [text.text for text in rendered]))
    return list(dict.fromkeys(filter(None, found)))


async def failures_of(checks, node=None, wrapped=list):
    """Why each check fails, made as the agent makes it; empty where it is well, `hangs` after the time limit."""
    return [await _failure_of(check, node, wrapped) for check in checks]


async def _failure_of(check, node, wrapped):
    try:
        async with asyncio.timeout(check.limits.timeout_s):
            if check.kind is CheckKind.COMMAND:
                await ProcessCommands().run(wrapped(list(check.arguments)), PATIENCE_S)
            else:
                with entered(node):
                    await NetworkProbes().probe(check)
    except TimeoutError:
        return "hangs"
    except Failed as error:
        return str(error)
    return ""


@contextmanager
def running(node, argv):
    """A program on the host, ended with its children; yields its process."""
    process = node.start(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        sent(process.pid, signal.SIGCONT)
        process.terminate()
        process.wait(PATIENCE_S)


def sent(pid, signal_):
    """A signal to a process and its children, which are taken from it in the same moment."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in (pid, *map(int, children)):
        os.kill(each, signal_)


async def well(checks, node):
    """Wait until all checks pass."""
    async with asyncio.timeout(PATIENCE_S):
        while any(await failures_of(checks, node)):  # noqa: ASYNC110 - whatever a program waits for
            await asyncio.sleep(0.05)


async def test_nginx(renderer, node, tmp_path):
    values = context("web", addresses=ADDRESSES, workers="1")
    await installed(renderer, "nginx", values, tmp_path, lambda check: on_node(node, check))
    conf, checks = tmp_path / "web.conf", await checks_of(renderer, "nginx", values)
    assert [check.name for check in checks] == ["http://192.0.2.80:80/", "http://[2001:db8::80]:80/"]
    (tmp_path / "temp").mkdir()
    nginx = ["nginx", "-p", str(tmp_path), "-e", "stderr", "-c", str(conf), "-g", "daemon off;"]
    with raised(node, *ADDRESSES):
        with running(node, nginx) as process:
            await well(checks, node)
            sent(process.pid, signal.SIGSTOP)
            assert await failures_of(checks, node) == ["hangs", "hangs"]
            sent(process.pid, signal.SIGCONT)
            await well(checks, node)
            conf.write_text(conf.read_text().replace("return 200", "return 500"))
            process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(PATIENCE_S):
                while not all("status 500" in each for each in await failures_of(checks, node)):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        assert all(await failures_of(checks, node))


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"port": "81"}, ["http://192.0.2.80:81/", "http://[2001:db8::80]:81/"]),
        ({"listen": "* [::]"}, ["http://127.0.0.1:80/"]),
        ({"listen": "[::]"}, ["http://[::1]:80/"]),
        ({"listen": "192.0.2.7"}, ["http://192.0.2.7:80/"]),
    ],
    ids=str,
)
async def test_nginx_is_asked_where_it_listens(renderer, parameters, names):
    checks = await checks_of(renderer, "nginx", context("web", addresses=ADDRESSES, **parameters))
    assert [check.name for check in checks] == names


async def test_dnsmasq(renderer, node, tmp_path):
    values = context("names", addresses=ADDRESSES)
    await installed(renderer, "dnsmasq", values, tmp_path, lambda check: on_node(node, check))
    tmp_path.chmod(0o755)
    checks = await checks_of(renderer, "dnsmasq", values)
    assert [check.name for check in checks] == ["dns 192.0.2.80:53", "dns [2001:db8::80]:53"]
    dnsmasq = ["dnsmasq", "--keep-in-foreground", f"--pid-file={tmp_path}/pid", "-C", str(tmp_path / "names.conf")]
    with raised(node, *ADDRESSES):
        with running(node, dnsmasq) as process:
            await well(checks, node)
            sent(process.pid, signal.SIGSTOP)
            assert await failures_of(checks, node) == ["hangs", "hangs"]
        assert all(await failures_of(checks, node))


async def test_dnsmasq_without_dns_is_not_asked(renderer):
    assert await checks_of(renderer, "dnsmasq", context("names", port="0")) == []


async def test_chrony(renderer, node, tmp_path):
    values = context("ntp", addresses=ADDRESSES, allow="198.51.100.0/24", listen="service")
    await installed(renderer, "chrony", values, tmp_path, lambda check: on_node(node, check))
    (conf,) = tmp_path.iterdir()
    checks = await checks_of(renderer, "chrony", values)
    assert [check.name for check in checks] == ["ntp 192.0.2.80:123", "ntp [2001:db8::80]:123"]
    tmp_path.chmod(0o770)
    own = f"bindcmdaddress {tmp_path}/chronyd.sock\ncmdport 0\npidfile {tmp_path}/pid\n"
    conf.write_text(conf.read_text() + own)
    chronyd = ["chronyd", "-x", "-d", "-u", "root", "-f", str(conf)]
    with raised(node, *ADDRESSES):
        with running(node, chronyd) as process:
            await well(checks, node)
            sent(process.pid, signal.SIGSTOP)
            assert await failures_of(checks, node) == ["hangs", "hangs"]
        conf.write_text(conf.read_text().replace("local stratum", "# local stratum"))
        with running(node, chronyd):
            async with asyncio.timeout(PATIENCE_S):
                while not all("not synchronized" in each for each in await failures_of(checks, node)):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)


async def test_chrony_is_asked_at_the_addresses_that_it_is_bound_to(renderer):
    values = context("ntp", addresses=(*ADDRESSES, "192.0.2.81/24"), listen="service")
    names = ["ntp 192.0.2.80:123", "ntp [2001:db8::80]:123"]
    assert [check.name for check in await checks_of(renderer, "chrony", values)] == names


@pytest.mark.parametrize("name", ["openldap", "openldap-secondary"])
async def test_openldap(renderer, name):
    with BaseServer(durable=False) as server:
        server.add(data_ldif())

        def beside(argv):
            return [word.replace("ldapi:///", f"ldapi://{quote(server.socket, safe='')}") for word in argv]

        async def failure(suffix):
            more = {"secrets": {"password": PASSWORD}, "suffix": suffix, "bind_dn": READER, "primary": "ldap://ldap"}
            (check,) = await checks_of(renderer, name, context("ldap", **more))
            (found,) = await failures_of([check], wrapped=beside)
            return found

        assert await failure(DATA) == ""
        assert "ended with status 32" in await failure("dc=nowhere")
        server.pause()
        try:
            assert await failure(DATA) == "hangs"
        finally:
            server.resume()
        server.kill()
        assert "ended with status 255" in await failure(DATA)


@pytest.mark.parametrize(("mounted", "fails"), [("true", False), ("false", True)])
async def test_data(renderer, mounted, fails):
    (check,) = await checks_of(renderer, "data", context("files"))
    place = "/srv/relocd/files"
    mount = f"mount -t tmpfs tmpfs /srv && mkdir -p {place} && if {mounted}; then mount -t tmpfs tmpfs {place}; fi"
    private = ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    (found,) = await failures_of([check], wrapped=lambda argv: [*private, *argv])
    assert bool(found) == fails
