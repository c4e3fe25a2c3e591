"""Orders on a real slapd, under the shipped access rules, as an identity that may do nothing but trigger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from relocd.errors import Failed, Invalid, Unavailable
from relocd.model.dn import DN
from relocd.model.writes import Add, Conflict, Lost, Modification
from relocd.operator.access import Access
from relocd.operator.change import orders
from relocd.operator.change.obstacle import ObstacleKind
from relocd.operator.change.orders import carried_out, planned
from relocd.operator.directory import on_directory
from relocd.operator.lookup import service_view_with_past
from tests.integration.orders_lab import (
    READER,
    TRIGGER,
    TWIN,
    access,
    active,
    environment,
    everything,
    fenced,
    guarded_directory,
    links,
    password_file,
)
from tests.lab.hosts.folders import with_folders
from tests.lab.slapd.ldif import status_ldif
from tests.lab.slapd.slapd import PASSWORD, SUFFIX, Slapd, cluster_dn, server_dn, service_dn

DEAD = "ldap://127.0.0.1:1"
READ_ONLY = "dn: olcDatabase={1}mdb,cn=config\nchangetype: modify\nreplace: olcReadOnly\nolcReadOnly: TRUE\n"
RELOCD = str(Path(sys.executable).with_name("relocd"))


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    with guarded_directory(tmp_path) as slapd:
        yield slapd


@pytest.fixture
def trigger(slapd: Slapd, tmp_path: Path) -> Access:
    return access(tmp_path, slapd.uri)


def relocd(reached: Access, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = os.environ | environment(reached)
    return subprocess.run([RELOCD, *arguments], capture_output=True, text=True, timeout=60, check=False, env=own)


def has(server: str, *services: str) -> Callable[[Slapd], bool]:
    return lambda slapd: links(slapd, server) == list(services)


def kinds(done: subprocess.CompletedProcess[str], key: str) -> list[str]:
    """The kinds of the problems or warnings that an order with --json prints."""
    return [each["kind"] for each in json.loads(done.stdout)[key]]


ORDERS = [
    pytest.param(("move", "web", "node2"), has("node2", "fax", "web"), id="move"),
    pytest.param(("move", "mail", "node2"), lambda slapd: active(slapd) == ["node2"], id="move of a cluster's"),
    pytest.param(("link", "web", "node2"), has("node2", "fax", "web"), id="link"),
    pytest.param(("link", service_dn("web"), server_dn("node3")), has("node3", "web"), id="DNs"),
    pytest.param(("link", TWIN.upper(), "node3"), has("node3", TWIN), id="of two twins"),
    pytest.param(("unlink", "web", "node1"), has("node1", "fax", "gone"), id="unlink"),
    pytest.param(("fence", "node1"), lambda slapd: fenced(slapd, "node1") == ["TRUE"], id="fence"),
    pytest.param(("activate", "pair", "node2"), lambda slapd: active(slapd) == ["node2"], id="activate"),
    pytest.param(
        ("failover", "node1"),
        lambda slapd: (links(slapd, "node2"), active(slapd)) == (["fax", "gone", "web"], ["node2"]),
        id="failover",
    ),
    pytest.param(
        ("failover", "node1", "--fenced", "--to", "node2"),
        lambda slapd: (active(slapd), fenced(slapd, "node1")) == (["node2"], ["TRUE"]),
        id="failover of a fenced one",
    ),
]


@pytest.mark.parametrize(("arguments", "holds"), ORDERS)
def test_an_order_is_done_once(slapd: Slapd, trigger: Access, arguments, holds) -> None:
    """The dry run is LDIF that plain ldapmodify takes, with the same effect; the order then finds nothing to do."""
    untouched = everything(slapd)
    dry = relocd(trigger, *arguments, "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert everything(slapd) == untouched
    done = relocd(trigger, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert holds(slapd)
    after = everything(slapd)
    assert after != untouched
    again = relocd(trigger, *arguments)
    assert again.returncode == 0
    assert everything(slapd) == after
    assert "changetype" not in relocd(trigger, *arguments, "--dry-run").stdout
    slapd.stop()
    slapd.wipe()
    slapd.start()
    slapd.add(slapd.content)
    client = ["ldapmodify", "-x", "-H", trigger.uris[0], "-D", TRIGGER, "-w", PASSWORD]
    subprocess.run(client, input=dry.stdout, text=True, check=True, capture_output=True, timeout=20)
    assert everything(slapd) == after


def test_unfence_undoes_fence(slapd: Slapd, trigger: Access) -> None:
    carried_out(trigger, orders.fence("node1"))
    assert carried_out(trigger, orders.unfence("node1")).done
    assert fenced(slapd, "node1") == []
    assert carried_out(trigger, orders.unfence("node1")).already


def test_a_fence_of_a_server_that_was_just_heard_is_warned_of(slapd: Slapd, trigger: Access) -> None:
    """It is done all the same: a power switch is sooner than the lease. What is silent or fenced already is no news."""
    assert carried_out(trigger, orders.fence("node2")).warnings == ()
    slapd.add(status_ldif("node1"))
    order = carried_out(trigger, orders.fence("node1"))
    assert [(each.kind, each.server) for each in order.warnings] == [(ObstacleKind.FENCED_ALIVE, "node1")]
    assert fenced(slapd, "node1") == ["TRUE"]
    assert carried_out(trigger, orders.fence("node1")).warnings == ()


def test_a_link_to_what_is_gone_is_unlinked_by_the_name_in_it(slapd: Slapd, trigger: Access) -> None:
    carried_out(trigger, orders.unlink("gone", "node1"))
    assert links(slapd, "node1") == ["fax", "web"]
    with pytest.raises(Invalid, match="there is no"):
        planned(trigger, orders.unlink("gone", "node1"))


def test_who_gave_a_service_back_is_seen_although_no_link_leads_there(slapd: Slapd, trigger: Access) -> None:
    slapd.add(status_ldif("node3"))
    status = f"dn: cn=status,{server_dn('node3')}\nchangetype: modify\nadd: relocProblem\nrelocProblem: "
    slapd.modify(f"{status}web: given back at noon: why\n")
    seen = on_directory(trigger, lambda directory: service_view_with_past(directory, "web")).servers
    assert {each.server.name for each in seen.values()} == {"node1", "node3"}
    seen = on_directory(trigger, lambda directory: service_view_with_past(directory, "fax")).servers
    assert {each.server.name for each in seen.values()} == {"node1", "node2"}


class TestWhoIsMeant:
    @pytest.mark.parametrize(
        ("order", "meant"),
        [
            (orders.link("wbe", "node1"), "'web'"),
            (orders.link(service_dn("wbe"), "node1"), "'web'"),
            (orders.fence("nodee1"), "'node1'"),
            (orders.activate("piar", "node1"), "'pair'"),
        ],
    )
    def test_a_name_that_is_misspelt_has_the_nearest_one_told(
        self, trigger: Access, order: orders.Order, meant: str
    ) -> None:
        with pytest.raises(Invalid, match="there is no") as refused:
            planned(trigger, order)
        assert meant in str(refused.value)

    def test_a_name_of_several_lists_them(self, trigger: Access) -> None:
        with pytest.raises(Invalid) as refused:
            planned(trigger, orders.link("twin", "node1"))
        assert TWIN in str(refused.value)
        assert service_dn("twin") in str(refused.value)

    @pytest.mark.parametrize(
        "order",
        [
            orders.link("nosuch", "node1"),
            orders.link("web", "nosuch"),
            orders.link("web", "*"),
            orders.link("node1", "web"),
            orders.link(f"cn=nosuch,{SUFFIX}", "node1"),
            orders.link("cn=web,dc=elsewhere", "node1"),
            orders.link("web=", "node1"),
            orders.unlink("nosuch", "node1"),
            orders.activate("nosuch", "node1"),
            orders.activate("pair", "node3"),
            orders.failover("node1", "node1"),
        ],
    )
    def test_nobody_is_a_wrong_argument(self, slapd: Slapd, trigger: Access, order: orders.Order) -> None:
        before = everything(slapd)
        with pytest.raises(Invalid):
            carried_out(trigger, order)
        assert everything(slapd) == before

    def test_exit_codes_tell_what_kind_of_failure_it_is(self, trigger: Access, tmp_path: Path) -> None:
        assert relocd(trigger, "link", "twin", "node1").returncode == 2
        assert relocd(access(tmp_path, *trigger.uris, who=READER), "link", "web", "node2").returncode == 1
        assert relocd(access(tmp_path, DEAD), "link", "web", "node2").returncode == 3
        assert relocd(access(tmp_path), "link", "web", "node2").returncode == 2
        assert relocd(trigger, "link", "web", "node2", "--json", "--wait").returncode == 2

    def test_a_move_against_an_order_is_refused_and_changes_nothing(self, slapd: Slapd, trigger: Access) -> None:
        carried_out(trigger, orders.fence("node2"))
        before = everything(slapd)
        done = relocd(trigger, "move", "web", "node2")
        assert (done.returncode, done.stdout) == (1, "")
        assert "relocd unfence node2" in done.stderr
        told = relocd(trigger, "move", "web", "node2", "--json")
        assert (told.returncode, kinds(told, "problems")) == (1, ["target-fenced"])
        assert everything(slapd) == before

    def test_a_move_to_a_server_without_an_agent_is_done_and_says_so(self, slapd: Slapd, trigger: Access) -> None:
        dry = relocd(trigger, "move", "web", "node2", "--json", "--dry-run")
        assert (dry.returncode, kinds(dry, "warnings")) == (0, ["target-silent"])
        assert not has("node2", "fax", "web")(slapd)
        done = relocd(trigger, "move", "web", "node2", "--json")
        assert (done.returncode, kinds(done, "warnings")) == (0, ["target-silent"])
        assert json.loads(done.stdout)["ldif"] == json.loads(dry.stdout)["ldif"]
        assert has("node2", "fax", "web")(slapd)

    def test_a_server_that_runs_nothing_needs_nobody_to_take_over(self, slapd: Slapd, trigger: Access) -> None:
        assert carried_out(trigger, orders.failover("node3", fenced=True)).already
        assert fenced(slapd, "node3") == ["TRUE"]

    def test_a_failover_that_is_possible_in_part_is_done_in_part(self, slapd: Slapd, trigger: Access) -> None:
        done = relocd(trigger, "failover", "node1", "--to", "node3")
        assert done.returncode == 1
        assert cluster_dn("pair") in done.stderr
        assert links(slapd, "node3") == ["fax", "gone", "web"]
        assert active(slapd) == ["node1"]


class TestSeveralDirectories:
    """The first that answers does it."""

    def test_one_that_is_dead_is_passed_over(self, slapd: Slapd, tmp_path: Path) -> None:
        carried_out(access(tmp_path, DEAD, slapd.uri), orders.link("web", "node2"))
        assert links(slapd, "node2") == ["fax", "web"]

    def test_one_that_hangs_is_passed_over(self, slapd: Slapd, tmp_path: Path) -> None:
        with Slapd(durable=False) as hung:
            hung.pause()
            carried_out(access(tmp_path, hung.uri, slapd.uri, patience_s=1), orders.link("web", "node2"))
        assert links(slapd, "node2") == ["fax", "web"]

    def test_one_that_only_reads_is_passed_over(self, slapd: Slapd, tmp_path: Path) -> None:
        with guarded_directory(tmp_path) as replica:
            replica.modify(READ_ONLY)
            carried_out(access(tmp_path, replica.uri, slapd.uri), orders.link("web", "node2"))
            assert links(replica, "node2") == ["fax"]
        assert links(slapd, "node2") == ["fax", "web"]

    def test_none_that_answers_is_an_error_that_names_each(self, tmp_path: Path) -> None:
        password_file(tmp_path)
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 .*127\.0\.0\.1:9 "):
            planned(access(tmp_path, DEAD, "ldap://127.0.0.1:9"), orders.link("web", "node2"))

    def test_the_command_line_takes_several(self, slapd: Slapd, trigger: Access) -> None:
        done = relocd(trigger, "link", "web", "node2", "--uri", DEAD, "--uri", slapd.uri)
        assert (done.returncode, links(slapd, "node2")) == (0, ["fax", "web"])


class TestUri:
    @pytest.mark.parametrize("spelled", ["{}/", "{}"])
    def test_a_slash_at_the_end_means_nothing(self, slapd: Slapd, tmp_path: Path, spelled: str) -> None:
        reached = access(tmp_path, spelled.format(slapd.uri.rstrip("/")))
        assert planned(reached, orders.link("web", "node2")).modifications

    @pytest.mark.parametrize("wrong", ["", "localhost", "http://localhost", "ldap://a:b", "ldap://a/b"])
    def test_what_is_none_is_a_wrong_option(self, tmp_path: Path, wrong: str) -> None:
        password_file(tmp_path)
        with pytest.raises(Invalid, match="is not the URI of a directory"):
            planned(access(tmp_path, wrong), orders.link("web", "node2"))

    @pytest.mark.parametrize("uri", ["ldapi:///", "ldapi://", "LDAPI:///"])
    def test_the_local_socket_is_where_libldap_looks(self, tmp_path: Path, uri: str) -> None:
        password_file(tmp_path)
        argv = ["ldapwhoami", "-Q", "-Y", "EXTERNAL", "-d", "1", "-H", "ldapi:///"]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False).stderr
        assert "/var/run/slapd/ldapi" in said
        folders = {"/var/run/slapd": tmp_path / "socket"}
        (tmp_path / "socket").mkdir()
        with Slapd(listen=[f"ldapi://{quote(str(tmp_path / 'socket' / 'ldapi'), safe='')}"], durable=False):
            argv = with_folders([RELOCD, "show", "--uri", uri, "--base", SUFFIX, "--external"], folders)
            done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr


class TestTwoAtOnce:
    def test_a_change_that_somebody_was_faster_with_is_lost(self, trigger: Access) -> None:
        change = Modification(DN.parse(server_dn("node1")), (Add("relocServiceLink", (service_dn("web").encode(),)),))
        outcome = on_directory(trigger, lambda directory: directory.modify(change))
        assert isinstance(outcome, Lost)
        assert outcome.conflict is Conflict.VALUE_EXISTS

    def test_all_succeed_and_the_state_is_the_one_asked_for(self, slapd: Slapd, trigger: Access) -> None:
        failures: list[Exception] = []

        def work(order: orders.Order) -> None:
            try:
                for _ in range(5):
                    carried_out(trigger, order)
            except Exception as error:  # noqa: BLE001 - shown by the assertion
                failures.append(error)

        placements = [orders.link("web", "node2"), orders.link("mail", "node2"), orders.failover("node1")] * 2
        threads = [threading.Thread(target=work, args=(each,)) for each in placements]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failures == []
        assert links(slapd, "node2") == ["fax", "gone", "mail", "web"]


class TestRefusals:
    @pytest.mark.parametrize("who", [READER, f"cn=nobody,{SUFFIX}"], ids=["a reader", "unknown"])
    def test_who_may_not_is_told_and_changes_nothing(self, slapd: Slapd, tmp_path: Path, who: str) -> None:
        before = everything(slapd)
        with pytest.raises(Failed, match="refuses") as refused:
            carried_out(access(tmp_path, slapd.uri, who=who), orders.link("web", "node2"))
        assert PASSWORD not in str(refused.value)
        assert everything(slapd) == before
