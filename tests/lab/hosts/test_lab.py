"""The laboratory itself: hosts that reach each other, a slapd that does as told, probes that see a move."""

import subprocess
import sys
import time
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.lab.deadline import until
from tests.lab.hosts.folders import with_folders
from tests.lab.hosts.hosts import Lan, entered
from tests.lab.probers.judgement import first_answer, outage_ns, overlap_ns
from tests.lab.probers.watch import Watch, program
from tests.lab.slapd.slapd import (
    SUFFIX,
    Slapd,
    cluster_ldif,
    link_ldif,
    server_dn,
    server_ldif,
    service_dn,
    service_ldif,
)

SERVICE = {"192.0.2.10": "192.0.2.10/24", "2001:db8::10": "2001:db8::10/64"}


def search(slapd, base, *attributes):
    """The LDIF of one entry, as ldapsearch prints it; empty when there is none."""
    argv = [*slapd.command("ldapsearch"), "-LLL", "-o", "ldif-wrap=no", "-s", "base", "-b", base, *attributes]
    return subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False).stdout


@pytest.fixture(scope="module")
def lan():
    with Lan(["node1", "node2", "client"]) as lan:
        lan.pin("client")
        yield lan


class TestHosts:
    def test_four_hosts_come_and_go_quickly(self):
        start = time.monotonic()
        with Lan(["a", "b", "c", "d"]) as lan:
            assert time.monotonic() - start < 1.0  # 30 ms on an idle machine
            places = [Path(host.netns) for host in lan.hosts.values()]
            assert all(place.exists() for place in places)
        assert not any(place.exists() for place in places)

    def test_a_host_has_the_addresses_of_its_number(self, lan):
        own = {ip_address("192.0.2.2"), ip_address("2001:db8::2")}
        assert own < lan["node2"].addresses()
        assert f"link/ether {lan['node2'].mac}" in lan["node2"].run(["ip", "link", "show", "eth0"]).stdout

    def test_an_address_is_seen_as_soon_as_it_is_there(self, lan):
        added = ip_address("192.0.2.77")
        lan["node1"].run(["ip", "address", "add", "192.0.2.77/24", "dev", "eth0"])
        assert added in lan["node1"].addresses()
        lan["node1"].run(["ip", "address", "del", "192.0.2.77/24", "dev", "eth0"])
        assert added not in lan["node1"].addresses()

    def test_a_thread_can_be_on_a_host_for_a_while(self, lan):
        here = Path("/proc/thread-self/net/if_inet6").read_text()
        with entered(lan["client"]):
            assert "20010db8000000000000000000000003" in Path("/proc/thread-self/net/if_inet6").read_text()
        assert Path("/proc/thread-self/net/if_inet6").read_text() == here

    def test_a_cut_host_has_no_carrier_until_healed(self, lan):
        def carrier():
            return "LOWER_UP" in lan["node1"].run(["ip", "link", "show", "eth0"]).stdout

        lan["node1"].cut()
        until(lambda: not carrier())
        lan["node1"].heal()
        until(carrier)

    def test_programs_end_with_the_lab_also_those_that_have_left_their_parent(self):
        with Lan(["a"]) as lan:
            child = lan["a"].start(["sleep", "60"])
            orphan = int(lan["a"].run(["sh", "-c", "setsid sleep 60 >/dev/null 2>&1 & echo $!"]).stdout)
            assert running(orphan)
        assert child.returncode == -15
        until(lambda: not running(orphan))

    def test_a_lab_is_removed_when_it_is_interrupted(self):
        lan = Lan(["a"])
        with pytest.raises(KeyboardInterrupt), lan:
            raise KeyboardInterrupt
        assert not list(Path("/run/netns").glob(f"{lan.name}*"))

    def test_a_half_built_lab_is_removed(self):
        lan = Lan(["a", "a name that no interface can have"])
        with pytest.raises(RuntimeError, match="failed"):
            lan.__enter__()
        assert not list(Path("/run/netns").glob(f"{lan.name}*"))


def running(pid):
    """Whether a process exists and is not a zombie that waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class TestSlapd:
    @pytest.mark.parametrize("schema", ["include", "config"])
    def test_both_forms_of_the_schema_take_our_entries(self, schema):
        with Slapd(schema=schema) as slapd:
            slapd.add(service_ldif("web", addresses=["192.0.2.10/24"], template_sets=["nginx"], parameters={"a": "b"}))
            slapd.add(server_ldif("node1", services=["web"], clusters=["pair"]) + server_ldif("node2"))
            slapd.add(cluster_ldif("pair", services=["web"], active="node1", relocFailover="manual"))
            slapd.modify(link_ldif("web", "node2"))
            assert service_dn("web") in search(slapd, server_dn("node2"), "relocServiceLink")

    def test_it_stops_crashes_pauses_and_comes_back_with_its_content(self):
        with Slapd() as slapd:
            slapd.stop()
            slapd.start()
            slapd.kill()
            slapd.start()
            slapd.pause()
            slapd.resume()
            assert SUFFIX in search(slapd, SUFFIX)
            slapd.pause()
            slapd.stop()
            slapd.wipe()
            slapd.start()
            assert search(slapd, SUFFIX) == ""

    def test_a_file_is_loaded_the_fast_way(self, tmp_path):
        (tmp_path / "more.ldif").write_text(server_ldif("node7"))
        with Slapd(durable=False) as slapd:
            slapd.stop()
            slapd.slapadd(tmp_path / "more.ldif")
            slapd.start()
            assert "entryUUID" in search(slapd, server_dn("node7"), "entryUUID")

    def test_its_own_words_are_in_the_error(self):
        with pytest.raises(RuntimeError, match="unknown directive <bogus>"), Slapd(global_lines=["bogus yes"]):
            pass
        with Slapd() as slapd, pytest.raises(RuntimeError, match="No such object"):
            slapd.add(f"dn: cn=a,ou=nowhere,{SUFFIX}\nobjectClass: device\n")

    def test_certificates_are_good_for_both_sides(self):
        """StartTLS and LDAPS check the server; a client certificate is an identity."""
        with Slapd(tls=True) as slapd:
            for uri, option in ((slapd.uri, "-ZZ"), (slapd.ldaps_uri, "-Q")):
                certificate, key = slapd.certificates.client
                files = {"CACERT": slapd.certificates.ca, "CERT": certificate, "KEY": key}
                whoami = subprocess.run(
                    ["ldapwhoami", "-H", uri, option, "-Y", "EXTERNAL"],
                    env={f"LDAPTLS_{name}": str(path) for name, path in files.items()} | {"PATH": "/usr/bin"},
                    capture_output=True,
                    text=True,
                    timeout=10,
                    check=False,
                )
                assert whoami.stdout.strip() == f"dn:{server_dn('node1')}", whoami.stderr

    def test_it_listens_on_a_host(self, lan):
        with Slapd(host=lan["node1"]) as slapd:
            found = lan["client"].run(["ldapsearch", "-x", "-LLL", "-H", slapd.uri, "-b", SUFFIX, "-s", "base"])
            assert slapd.uri == "ldap://192.0.2.1/"
            assert SUFFIX in found.stdout


@contextmanager
def echoing(*hosts):
    """Each host answers datagrams with its name."""
    processes = [program(host, "probers.echo", "--name", host.name) for host in hosts]
    yield
    for process in processes:
        process.terminate()
        process.wait(5)


@pytest.mark.parametrize("target", SERVICE)
def test_probes_see_a_move(lan, tmp_path, target):
    """Moved by hand with a gap of 20 ms, both judges see the gap, and the client follows the new holder."""
    macs = [f"--mac={name}={lan[name].mac}" for name in ("node1", "node2")]
    watch = Watch(lan["client"], tmp_path / "probes", "probers.prober", ["--target", target, *macs])
    with echoing(lan["node1"], lan["node2"]):
        hold(lan["node1"], "add", target)
        with watch:
            assert watch.until("node1", 5)
            start = time.monotonic_ns()
            hold(lan["node1"], "del", target)
            time.sleep(0.02)  # not a synchronisation: the gap that is to be seen
            hold(lan["node2"], "add", target)
            forget(lan["client"], target)
            change = watch.until("node2", 5)
            end = time.monotonic_ns()
        hold(lan["node2"], "del", target)
    assert change.silent_ns >= 20e6
    assert first_answer(watch.probes, "node2", start).answered_ns == change.answered_ns
    assert outage_ns(watch.probes, start, end) >= 20e6
    assert overlap_ns(watch.probes, "node1", "node2", start, end) <= -20e6


def hold(host, verb, address):
    nodad = ["nodad"] if ":" in address and verb == "add" else []
    host.run(["ip", "address", verb, SERVICE[address], "dev", "eth0", *nodad])


def forget(host, address):
    """Empty a neighbour entry, in place of the announcement that a move by hand does not make."""
    host.run(["ip", "neigh", "flush", "to", address, "dev", "eth0"])


def test_probes_of_what_does_not_move_are_always_answered(lan, tmp_path):
    """The laboratory itself loses nothing."""
    watch = Watch(lan["client"], tmp_path / "probes", "probers.prober", ["--target", "192.0.2.1"])
    with echoing(lan["node1"]), watch:
        assert watch.until("node1", 5)
        start = time.monotonic_ns()
        time.sleep(0.2)  # not a synchronisation: the time that is judged
        end = time.monotonic_ns()
    probes = [probe for probe in watch.probes if start <= probe.sent_ns <= end]
    assert len(probes) > 100
    assert all(probe.host == "node1" for probe in probes[:-1])


def test_a_page_is_fetched_over_and_over(lan, tmp_path):
    """A page that names its host is an answer; while no host serves it there is none, and then there is."""
    watch = Watch(lan["client"], tmp_path / "fetches", "probers.fetcher", ["--target", "192.0.2.1", "--host=node1"])
    (tmp_path / "index.html").write_text("this is node1")
    with watch:
        assert watch.until("node1", 0.05) is None
        lan["node1"].start([sys.executable, "-m", "http.server", "80", "-d", str(tmp_path)], stderr=subprocess.DEVNULL)
        assert watch.until("node1", 5)
    assert watch.probes[0].host is None


def test_hosts_have_folders_of_their_own(lan, tmp_path):
    """Also at paths that the machine does not have, for one program after the other, and the machine has none after."""
    absent, present = "/etc/a folder of the laboratory", "/run"
    folders = {}
    for name in ("node1", "node2"):
        folders[name] = {absent: tmp_path / name / "absent", present: tmp_path / name / "present"}
        for place in folders[name].values():
            place.mkdir(parents=True)
        script = f"echo {name} > '{absent}/name'; cat /etc/debian_version > {present}/version"
        lan[name].run(with_folders(["sh", "-c", script], folders[name]))
    for name in ("node1", "node2"):
        seen = lan[name].run(with_folders(["cat", f"{absent}/name", f"{present}/version"], folders[name])).stdout
        assert seen == f"{name}\n{Path('/etc/debian_version').read_text()}"
    assert not Path(absent).exists()
    assert not Path(present, "version").exists()
