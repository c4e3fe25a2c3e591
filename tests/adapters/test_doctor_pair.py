"""`relocd doctor` on the pair that `relocd init-pair` makes."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from relocd.doctor.directories import look
from relocd.doctor.finding import Level
from relocd.model.dn import DN
from tests.adapters.acl_lab import server_ldif
from tests.adapters.orders_lab import access, password_file
from tests.adapters.test_doctor_directory import status_ldif
from tests.lab.base_server import ADMIN, BaseServer, data_ldif
from tests.lab.control_pair import control, meet
from tests.lab.deadline import until
from tests.lab.ldif import server_dn


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
    looked = look(
        access(folder, *(each.ldapi_uri for each in pair), who=server_dn("node1")), DN.parse(server_dn("node1"))
    )
    return [(subject, each) for subject, some in looked.findings.items() for each in some]


def test_both_nodes_are_ok_and_know_the_same(pair, tmp_path):
    found = findings(pair, tmp_path)
    assert {each.level for _, each in found} == {Level.OK}, found
    assert sum(each.check == "replication" for _, each in found) == 3


def test_a_node_that_is_dead_is_one_error(pair, tmp_path):
    second = pair[1]
    second.kill()
    wrong = [(subject, each) for subject, each in findings(pair, tmp_path) if each.level is not Level.OK]
    assert [(subject, each.check) for subject, each in wrong] == [(second.ldapi_uri, "answer")]
    second.start()
