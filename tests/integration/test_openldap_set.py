"""`relocd-openldap` and two real slapds: promotion, demotion, repetition, interruption, and writes that got lost."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import ldap
import pytest

from relocd.errors import Unavailable
from relocd.openldap.connection import local
from relocd.openldap.role import changes
from tests.integration.openldap_lab import Program, changed, described, in_step, role_file, wanted
from tests.lab.deadline import until
from tests.lab.hosts.base_server import ADMIN, DATA, BaseServer, data_ldif, person_ldif, trust_each_other
from tests.lab.slapd.ldif import record
from tests.lab.slapd.slapd import PASSWORD


@pytest.fixture
def servers():
    """Two base servers, the first with content."""
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(BaseServer(durable=False, global_lines=[f"serverID {number}"])) for number in (1, 2)
        )
        first.add(data_ldif() + person_ldif("anna"))
        yield first, second


@pytest.fixture
def programs(servers, tmp_path):
    return [Program(server, tmp_path / str(number)) for number, server in enumerate(servers, 1)]


@pytest.fixture
def pair(servers, programs):
    """The first is the primary, the second follows it."""
    programs[0].done("apply", wanted("provider", servers[0].uri))
    programs[1].done("apply", wanted("consumer", servers[0].uri))
    in_step(*servers)
    return servers


def failover(servers, programs):
    """The first is dead, the second is the primary; the first comes back as it was."""
    servers[0].kill()
    programs[1].done("apply", wanted("provider", servers[1].uri))
    servers[0].start()


def test_what_is_written_at_the_primary_is_at_the_consumer(pair):
    changed(pair[0], "anna", "new")
    in_step(*pair)
    assert described(pair[1]) == {"anna": "new"}


def test_a_consumer_refers_who_writes_to_the_primary(pair):
    with pytest.raises(ldap.REFERRAL) as refused:
        changed(pair[1], "anna", "new")
    assert pair[0].uri in str(refused.value)


def test_a_second_run_changes_nothing(pair, programs):
    before = [server.config() for server in pair]
    assert programs[0].done("apply", wanted("provider", pair[0].uri)) == ""
    assert programs[1].done("apply", wanted("consumer", pair[0].uri)) == ""
    assert [server.config() for server in pair] == before


def test_a_new_password_is_taken_up(pair, programs):
    assert "replicates from" in programs[1].done("apply", wanted("consumer", pair[0].uri, rid=2))
    changed(pair[0], "anna", "new")
    in_step(*pair)


def test_the_second_is_promoted_with_the_first_dead_and_no_client_notices(pair, programs):
    """The connection of a client stays, and the write that was referred before is taken now."""
    pid, client = pair[1].pid, pair[1].bound(ADMIN)
    modify = (f"cn=anna,{DATA}", [(ldap.MOD_REPLACE, "description", [b"new"])])
    with pytest.raises(ldap.REFERRAL):
        client.modify_s(*modify)
    pair[0].kill()
    programs[1].done("apply", wanted("provider", pair[1].uri))
    client.modify_s(*modify)
    client.unbind_s()
    assert pair[1].pid == pid
    assert described(pair[1]) == {"anna": "new"}


def test_the_first_comes_back_and_follows_the_second_live(pair, programs):
    failover(pair, programs)
    changed(pair[1], "anna", "while it was dead")
    pid, client = pair[0].pid, pair[0].bound(ADMIN)
    programs[0].done("apply", wanted("consumer", pair[1].uri))
    in_step(*pair)
    assert client.search_s(DATA, ldap.SCOPE_SUBTREE, "(cn=anna)", ["description"])[0][1] == {
        "description": [b"while it was dead"]
    }
    client.unbind_s()
    assert pair[0].pid == pid


def test_back_and_forth(pair, programs):
    """Each is the primary in turn: what it lets go of first, the other takes up."""
    for turn in range(4):
        old, new = turn % 2, (turn + 1) % 2
        programs[old].done("close", wanted("provider", pair[new].uri))
        programs[old].done("release", wanted("provider", pair[new].uri))
        programs[new].done("apply", wanted("provider", pair[new].uri))
        changed(pair[new], "anna", str(turn))
        programs[old].done("apply", wanted("consumer", pair[new].uri))
        in_step(*pair)
        assert described(pair[old]) == {"anna": str(turn)}


def test_release_takes_no_more_writes(pair, programs):
    programs[0].done("release", wanted("provider", pair[1].uri))
    with pytest.raises(ldap.REFERRAL):
        changed(pair[0], "anna", "too late")


class TestClose:
    """A primary that takes no more writes, while the service's address is here still."""

    def test_writes_are_refused_and_the_last_ones_get_to_the_consumer(self, pair, programs):
        changed(pair[0], "anna", "last")
        programs[0].done("close", wanted("provider", pair[0].uri))
        with pytest.raises(ldap.UNWILLING_TO_PERFORM):
            changed(pair[0], "anna", "too late")
        assert described(pair[1]) == {"anna": "last"}

    def test_it_follows_nobody_until_it_is_released(self, pair, programs):
        programs[0].done("close", wanted("provider", pair[0].uri))
        assert not any(values.get("olcSyncrepl") for values in pair[0].config().values())

    def test_applied_again_it_takes_writes(self, pair, programs):
        for _ in range(2):
            programs[0].done("close", wanted("provider", pair[0].uri))
        assert programs[0].done("close", wanted("provider", pair[0].uri)) == ""
        programs[0].done("apply", wanted("provider", pair[0].uri))
        changed(pair[0], "anna", "new")
        in_step(*pair)

    def test_a_consumer_has_nothing_to_close(self, pair, programs):
        before = pair[1].config()
        programs[1].done("close", wanted("consumer", pair[0].uri))
        programs[1].done("close", wanted("provider", pair[0].uri))
        assert pair[1].config() == before


@pytest.mark.parametrize("role", ["provider", "consumer"])
def test_a_run_that_was_cut_short_anywhere_is_continued(servers, tmp_path, role):
    """After any number of the changes and one run more, the configuration is that of a whole run."""
    goal = wanted(role, servers[0].uri)
    with local(servers[1].socket) as slapd:
        steps = changes(slapd.config(), goal)
    ends = []
    for done in range(len(steps) + 1):
        with BaseServer(durable=False) as fresh:
            with local(fresh.socket) as slapd:
                for step in steps[:done]:
                    slapd.apply(step)
            Program(fresh, tmp_path)("apply", goal)
            with local(fresh.socket) as slapd:
                assert changes(slapd.config(), goal) == ()
            ends.append({dn: _lasting(values) for dn, values in fresh.config().items()})
    assert len(ends) == {"provider": 3, "consumer": 4}[role]
    assert ends == ends[:1] * len(ends)


def _lasting(values):
    """What does not differ from one slapd to the next."""
    places = {"olcArgsFile", "olcDbDirectory", "olcPidFile", "olcConfigFile", "olcConfigDir"}
    return {name: found for name, found in values.items() if name not in places}


def test_over_tls_whom_to_trust_is_slapds_own_setting(tmp_path):
    """For the consumer of slapd and for the comparison; who is not trusted is not followed."""
    with ExitStack() as stack:
        pair = [stack.enter_context(BaseServer(durable=False, tls=True)) for _ in range(2)]
        programs = [Program(server, tmp_path / str(number)) for number, server in enumerate(pair)]
        pair[0].add(data_ldif())
        programs[0].done("apply", wanted("provider", pair[0].uri))
        follow_it = wanted("consumer", pair[0].uri, starttls=True)
        refused = programs[1].refused("apply", follow_it)
        assert "is not trusted, binding (its certificate cannot be verified: " in refused
        assert "is unknown" in refused
        assert pair[1].entries(DATA) == {}
        trust_each_other(pair, tmp_path / "authorities.pem")
        # A consumer keeps the authorities that it has begun with until its directive changes.
        until(lambda: programs[1]("apply", replace(follow_it, rid=2)).returncode == 0, 30.0)
        in_step(*pair)


class TestLostWrites:
    """What the first took before it died and the second never got: slapd itself keeps it and says nothing."""

    @pytest.fixture
    def diverged(self, pair, programs):
        pair[0].add(person_ldif("berta"))
        in_step(*pair)
        pair[1].kill()
        changed(pair[0], "anna", "lost")
        pair[0].add(person_ldif("carl"))
        client = pair[0].bound(ADMIN)
        client.delete_s(f"cn=berta,{DATA}")
        client.unbind_s()
        pair[0].kill()
        pair[1].start()
        programs[1].done("apply", wanted("provider", pair[1].uri))
        changed(pair[1], "berta", "kept")
        pair[0].start()
        return pair

    def test_they_are_named_and_it_is_a_failure(self, diverged, programs):
        why = programs[0].refused("apply", wanted("consumer", diverged[1].uri))
        assert f"cn=anna,{DATA}; cn=carl,{DATA}" in why
        assert "empty the folder of its database" in why
        assert PASSWORD not in why
        assert described(diverged[1]) == {"anna": "", "berta": "kept"}
        assert described(diverged[0]) == {"anna": "lost", "berta": "kept", "carl": ""}

    def test_all_of_them_are_named_on_demand(self, diverged, programs):
        lost = "".join(f"cn=p{number},{DATA}\n" for number in range(9))
        diverged[0].add_as(ADMIN, "".join(person_ldif(f"p{number}") for number in range(9)))
        follow = wanted("consumer", diverged[1].uri)
        assert "more, see relocd-openldap lost" in programs[0].refused("apply", follow)
        assert lost in programs[0].done("lost", follow)
        assert programs[1].done("lost", wanted("provider", diverged[1].uri)) == ""

    def test_it_stays_a_failure_until_somebody_has_dealt_with_them(self, diverged, programs):
        follow = wanted("consumer", diverged[1].uri)
        programs[0].refused("apply", follow)
        programs[0].refused("apply", follow)
        diverged[0].stop()
        diverged[0].wipe()
        diverged[0].start()
        programs[0].done("apply", follow)
        in_step(*diverged)

    def test_they_are_named_also_where_both_have_been_the_primary_before(self, pair, programs):
        """After a crash slapd 2.5 goes by what it wrote down of both, and looks for nothing newer of its own."""
        for new, old in ((1, 0), (0, 1), (1, 0)):
            programs[old].done("release", wanted("provider", pair[new].uri))
            programs[new].done("apply", wanted("provider", pair[new].uri))
            programs[old].done("apply", wanted("consumer", pair[new].uri))
            changed(pair[new], "anna", f"by {new}")
            in_step(*pair)
        pair[0].kill()
        pair[1].add(person_ldif("carl"))
        pair[1].kill()
        pair[0].start()
        programs[0].done("apply", wanted("provider", pair[0].uri))
        changed(pair[0], "anna", "new")
        pair[1].start()
        assert f"cn=carl,{DATA}" in programs[1].refused("apply", wanted("consumer", pair[0].uri))

    def test_a_primary_that_hides_what_it_knows_is_no_success(self, pair, programs):
        hide = "replace: olcAccess\nolcAccess: to attrs=contextCSN by * none\nolcAccess: to * by * read\n"
        pair[0].modify(f"dn: {data_dn(pair[0])}\nchangetype: modify\n{hide}")
        assert "no contextCSN" in programs[1].refused("apply", wanted("consumer", pair[0].uri))

    def test_a_primary_that_cannot_be_asked_is_no_success(self, pair, programs):
        pair[0].stop()
        assert "is unknown" in programs[1].refused("apply", wanted("consumer", pair[0].uri))


def test_a_slapd_that_ends_meanwhile_leaves_the_reason_as_it_is(servers):
    def look():
        with local(servers[0].socket) as slapd:
            servers[0].kill()
            slapd.config()

    with pytest.raises(Unavailable, match="does not answer, reading"):
        look()


class TestTwoServicesOfOneServer:
    def test_a_secondary_waits_while_the_primary_is_here(self, pair, programs):
        role_file(programs[0].folder / "primary.toml", wanted("provider", pair[0].uri))
        before = pair[0].config()
        assert "relocDisplaces" in programs[0].refused("apply", wanted("consumer", pair[1].uri), "secondary")
        assert pair[0].config() == before

    def test_a_secondary_in_standby_rests_beside_the_primary(self, pair, programs):
        role_file(programs[0].folder / "primary.toml", wanted("provider", pair[0].uri))
        before = pair[0].config()
        assert "is not applied" in programs[0].done("apply", wanted("consumer", pair[1].uri, active=False), "secondary")
        assert pair[0].config() == before

    def test_a_secondary_that_leaves_does_not_take_the_primary_away(self, pair, programs):
        before = pair[0].config()
        programs[0].done("release", wanted("consumer", pair[1].uri), "secondary")
        assert pair[0].config() == before


@pytest.mark.parametrize("glued", [True, False], ids=["subordinate", "of its own"])
def test_a_refresh_of_the_data_deletes_what_is_in_a_subordinate_database_only(pair, programs, glued):
    """Why the control suffix is a database of its own. Seen with slapd 2.5.13; where it is not so, it may be glued."""
    below = f"ou=below,{DATA}"
    (pair[1].folder / "below").mkdir()
    database = {"objectClass": "olcMdbConfig", "olcSuffix": below, "olcRootDN": ADMIN}
    glue = {"olcSubordinate": "TRUE"} if glued else {}
    pair[1].add(
        record("olcDatabase={1}mdb,cn=config", database | glue | {"olcDbDirectory": str(pair[1].folder / "below")})
    )
    client = pair[1].bound(ADMIN)
    client.add_s(below, [("objectClass", [b"organizationalUnit"])])
    client.add_s(f"cn=x,{below}", [("objectClass", [b"device"])])
    client.unbind_s()
    # A refresh deletes what is older than what the primary knows of the same provider: the second was the primary once.
    for primary, other in ((1, 0), (0, 1)):
        follow(programs[primary].server, programs[other].server)
        pair[primary].add(person_ldif(f"berta{primary}"))
        until(lambda: described(pair[0]) == described(pair[1]))
    present_phase(pair, "berta0")
    assert bool(pair[1].entries(below)) is not glued


def follow(primary, other):
    """Give both their roles, past the program, which refuses a subordinate database."""
    value = wanted("consumer", primary.uri).consumer.value
    for server, lines in ((other, f"olcSyncrepl: {value}\n"), (primary, "")):
        server.modify(f"dn: {data_dn(server)}\nchangetype: modify\nreplace: olcSyncrepl\n{lines}")


def data_dn(server):
    return next(dn for dn, values in server.config().items() if values.get("olcSuffix") == [DATA])


def present_phase(pair, name):
    """A deletion that the consumer learns from what is still there: the primary has forgotten it meanwhile."""
    pair[1].kill()
    client = pair[0].bound(ADMIN)
    client.delete_s(f"cn={name},{DATA}")
    client.unbind_s()
    pair[0].stop()
    pair[0].start()
    pair[1].start()
    until(lambda: name not in described(pair[1]))


class TestCheck:
    def test_it_changes_nothing(self, servers, programs):
        before = servers[0].config()
        programs[0].done("check", wanted("consumer", servers[1].uri))
        assert servers[0].config() == before

    def test_no_such_suffix(self, servers, programs):
        refused = programs[0].refused("check", wanted("provider", servers[0].uri, suffix="dc=example,dc=com"))
        assert f"it has {DATA}" in refused

    def test_a_slapd_that_does_not_run(self, servers, programs):
        servers[0].stop()
        assert "does not answer" in programs[0].refused("check", wanted("provider", servers[0].uri))

    def test_a_subordinate_database_is_refused(self, servers, programs):
        """A refresh of the suffix above deletes what is in it: seen with slapd 2.5."""
        (servers[0].folder / "below").mkdir()
        classes = "objectClass: olcMdbConfig\nolcSuffix: ou=below,dc=example,dc=org\nolcSubordinate: TRUE\n"
        servers[0].add(f"dn: olcDatabase={{1}}mdb,cn=config\n{classes}olcDbDirectory: {servers[0].folder}/below\n")
        assert "remove olcSubordinate" in programs[0].refused("check", wanted("provider", servers[0].uri))
