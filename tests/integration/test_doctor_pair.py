"""`relocd doctor` on the pair that `relocd init-pair` makes."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from relocd.doctor.directory.run import examine
from relocd.doctor.finding import DoctorKind, Level
from relocd.model.dn import DN
from tests.integration.acl_lab import server_ldif
from tests.integration.orders_lab import access, password_file
from tests.integration.test_doctor_directory import status_ldif
from tests.lab.deadline import until
from tests.lab.hosts.base_server import ADMIN, BaseServer, data_ldif
from tests.lab.slapd.control_pair import control, meet
from tests.lab.slapd.ldif import SUFFIX, server_dn


@pytest.fixture
def pair(tmp_path):
    password_file(tmp_path)
    with ExitStack() as stack:
        first, second = (stack.enter_context(BaseServer(durable=False)) for _ in range(2))
        first.add(data_ldif())
        meet((first, second))
        for server, name in ((first, "node1"), (second, "node2")):
            server.add_as(ADMIN, server_ldif(server_dn(name)) + status_ldif(name))
        until(lambda: control(first) == control(second))
        yield first, second


def findings(pair, folder):
    result = examine(
        access(folder, *(each.ldapi_uri for each in pair), who=server_dn("node1")), DN.parse(server_dn("node1"))
    )
    return [(subject, each) for subject, some in result.findings.items() for each in some]


def test_both_nodes_are_ok_and_know_the_same(pair, tmp_path):
    found = findings(pair, tmp_path)
    assert {each.level for _, each in found} == {Level.OK}, found
    assert sum(each.check == "replication" for _, each in found) == 3
    assert [each.names for _, each in found if each.check == "peer"] == [(peer.uri,) for peer in reversed(pair)]


def test_one_look_at_this_node_names_the_peer_that_knows_other_changes(pair, tmp_path):
    first, _ = pair
    result = examine(access(tmp_path, first.ldapi_uri, who=server_dn("node1")), DN.parse(server_dn("node1")))
    (among,) = result.findings["all directories"]
    assert (among.check, among.level) == ("replication", Level.OK)


def test_a_password_that_was_changed_on_one_node_only_is_an_error_on_the_other(pair, tmp_path):
    first, second = pair
    database = next(dn for dn, values in second.config().items() if values.get("olcSuffix") == [SUFFIX])
    second.modify(f"dn: {database}\nchangetype: modify\nreplace: olcRootPW\nolcRootPW: other\n")
    (wrong,) = [each for _, each in findings((first,), tmp_path) if each.check == "peer"]
    assert (wrong.kind, wrong.level, wrong.names) == (DoctorKind.PEER_FAILS, Level.ERROR, (second.uri,))
    assert "invalidCredentials" in wrong.what


def test_a_node_that_is_dead_is_an_error_of_it_and_of_its_peer(pair, tmp_path):
    second = pair[1]
    second.kill()
    wrong = [(subject, each) for subject, each in findings(pair, tmp_path) if each.level is not Level.OK]
    assert [(subject, each.kind) for subject, each in wrong] == [
        (pair[0].ldapi_uri, DoctorKind.PEER_FAILS),
        (second.ldapi_uri, DoctorKind.NO_ANSWER),
    ]
    second.start()
