"""relocDisplaces: what gives way on the server that another service comes to, and resumes when that has gone."""

from __future__ import annotations

from tests.lab.deadline import until
from tests.lab.hosts.stage import ADDRESS
from tests.lab.slapd.ldif import link_ldif, server_ldif, service_dn, service_ldif
from tests.lab.slapd.reading import links, state

OTHER = "192.0.2.11"


def test_displaced_service_rests_while_the_other_one_is_here(staged):
    stage = staged()
    stage.slapd.add(
        service_ldif("mail", addresses=[f"{OTHER}/24"], template_sets=["unit"])
        + service_ldif("web", addresses=[f"{ADDRESS}/24"], template_sets=["unit"], relocDisplaces=service_dn("mail"))
        + server_ldif("node1", services=["web"])
        + server_ldif("node2", services=["mail"])
    )
    stage.start()
    until(lambda: stage.stands("node1", "web") == stage.stands("node2", "mail") == "active")
    node2 = stage.nodes["node2"]
    stage.slapd.modify(link_ldif("web", "node2"))
    until(lambda: stage.holders(ADDRESS) == ["node2"] and stage.unit("node2", "web").runs)
    until(lambda: not stage.holders(OTHER) and not stage.unit("node2", "mail").runs)
    assert state(stage.slapd, "mail").holder == ""
    assert links(stage.slapd, "node2") == {"web", "mail"}
    done = [line.action for line in node2.lines()]
    gone, came = (done.index(f"{word}/24 on eth0") for word in (f"drop {OTHER}", f"raise {ADDRESS}"))
    assert gone < came
    until(lambda: "displaced while web is here" in stage.words("node2", "mail") and not links(stage.slapd, "node1"))
    stage.slapd.modify(link_ldif("web", "node1"))
    until(lambda: stage.holders(ADDRESS) == ["node1"])
    until(lambda: stage.holders(OTHER) == ["node2"] and stage.unit("node2", "mail").runs)
