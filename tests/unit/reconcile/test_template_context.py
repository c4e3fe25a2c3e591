"""What templates see: typed values, the peers and the cluster, and secrets only where they belong."""

from __future__ import annotations

from dataclasses import astuple, replace

import pytest

from relocd.election.eligibility import decision
from relocd.model.dn import DN
from relocd.model.template_set import Role
from relocd.reconcile.template_context import Contexts, TemplateAddress, TemplateService
from relocd.sync.mirror import Mirror
from tests.support.directory import ModelDirectory, snapshot
from tests.support.entries import ME, cluster, dn, server, service, uuid_of


@pytest.fixture
def seen():
    return snapshot(
        server("me", services=["ntp"], clusters=["pair"], ipHostNumber="192.0.2.1"),
        server("twin", clusters=["pair"], jpegPhoto=b"\xff\xd8"),
        server("clock", services=["ntp"]),
        cluster("pair", services=["web"], active="twin", description="the pair"),
        service(
            "web",
            relocAddress=["192.0.2.10/24", "2001:db8::10/64"],
            relocParameter="workers=4",
            relocSecret="token=s3cret",
            description="a page",
        ),
        service("ntp", relocSecret="key=k3y"),
    )


def contexts_of(seen):
    decisions = {uuid: decision(seen, seen.me, found) for uuid, found in seen.services.items()}
    return Contexts(seen, seen.me, decisions), decisions


def context_of(seen, name):
    contexts, decisions = contexts_of(seen)
    return contexts.of_service(seen.services[uuid_of(name)], decisions[uuid_of(name)], alone=False)


def test_the_service_and_its_role(seen):
    context = context_of(seen, "web")
    assert context.role is Role.STANDBY
    assert replace(context.service, attributes={}) == TemplateService(
        name="web",
        dn=dn("web"),
        uuid=uuid_of("web"),
        addresses=(TemplateAddress("192.0.2.10", 24, 4), TemplateAddress("2001:db8::10", 64, 6)),
        interface=None,
        exclusive=True,
        parameters={"workers": "4"},
        attributes={},
        role=Role.STANDBY,
    )
    assert context.parameters == {"workers": "4"}
    assert context.service.attributes["description"] == ["a page"]


def test_the_server_with_any_attribute_of_its_entry(seen):
    context = context_of(seen, "web")
    assert context.server.name == "me"
    assert context.server.attributes["iphostnumber"] == ["192.0.2.1"]


def test_the_cluster_through_which_the_service_is_linked(seen):
    pair = context_of(seen, "web").cluster
    assert (pair.name, pair.active, pair.failover) == ("pair", "twin", "manual")
    assert [member.name for member in pair.members] == ["me", "twin"]
    assert pair.attributes["description"] == ["the pair"]
    assert context_of(seen, "ntp").cluster is None


def test_the_active_server_goes_by_the_name_that_it_has_now():
    directory = ModelDirectory([server("me", clusters=["pair"]), server("twin", clusters=["pair"]), service("web")])
    directory.put(cluster("pair", services=["web"], active="twin"))
    mirror = Mirror(DN.parse(ME), None, 10**6)
    mirror.apply(directory.refresh())
    mirror.apply(directory.rename(uuid_of("twin"), "sister"))
    pair = context_of(mirror.snapshot, "web").cluster
    assert pair.active == "sister"
    assert [member.name for member in pair.members] == ["me", "sister"]


def test_peers_are_the_others_that_are_linked_to_the_same_service(seen):
    assert [peer.name for peer in context_of(seen, "web").peers] == ["twin"]
    assert [peer.name for peer in context_of(seen, "ntp").peers] == ["clock"]


def test_bytes_that_are_no_text_are_shown_in_base64(seen):
    (twin,) = context_of(seen, "web").peers
    assert twin.attributes["jpegphoto"] == ["/9g="]


def test_secrets_are_those_of_the_service_alone(seen):
    context = context_of(seen, "web")
    assert context.secrets == {"token": "s3cret"}
    assert str(astuple(context)).count("s3cret") == 1
    assert "k3y" not in str(astuple(context))
    assert "s3cret" not in repr(context)


def test_all_services_of_the_server_with_their_roles(seen):
    services = context_of(seen, "web").services
    assert [(each.name, each.role, each.secrets) for each in services] == [
        ("ntp", "active", {}),
        ("web", "standby", {}),
    ]


def test_a_set_for_the_whole_server_sees_every_service_with_its_secrets(seen):
    context = contexts_of(seen)[0].of_server()
    assert (context.service, context.cluster, context.role) == (None, None, "active")
    assert [cluster.name for cluster in context.clusters] == ["pair"]
    assert [(each.name, each.secrets) for each in context.services] == [
        ("ntp", {"key": "k3y"}),
        ("web", {"token": "s3cret"}),
    ]
    assert [peer.name for peer in context.peers] == ["clock", "twin"]
    assert set(context.all_secrets) == {"k3y", "s3cret"}
    assert "k3y" not in repr(context)
