"""Who is linked to a service, by a direct read: nothing is let go because of an answer that is none."""

import pytest

from relocd.adapters.ldap.reader import LdapReader
from relocd.errors import Unavailable
from relocd.model.dn import DN
from tests.adapters.ldap.lab import settings_for
from tests.lab.slapd.ldif import record
from tests.lab.slapd.slapd import (
    SUFFIX,
    Slapd,
    base_ldif,
    cluster_ldif,
    server_dn,
    server_ldif,
    service_dn,
    service_ldif,
)

pytestmark = pytest.mark.timeout(30)

WEB = DN.parse(service_dn("web"))
CONTENT = "".join(
    [
        base_ldif(),
        service_ldif("web"),
        server_ldif("node1", services=["web", "ntp"]),
        server_ldif("node2", services=["ntp"], clusters=["pair"]),
        cluster_ldif("pair", services=["web"], active="node2"),
    ]
)


def reader_for(*uris, **more):
    return LdapReader(settings_for(*uris, **more), lambda: None)


async def names(reader, service):
    return {entry.dn.name for entry in await reader.linking_to(service)}


@pytest.fixture
def slapd():
    with Slapd(content=CONTENT, durable=False) as slapd:
        yield slapd


class TestAnswers:
    async def test_every_server_and_cluster_with_a_direct_link_whole(self, slapd):
        async with reader_for(slapd.uri) as reader:
            found = {entry.dn.name: entry for entry in await reader.linking_to(WEB)}
        assert found.keys() == {"node1", "pair"}
        assert found["pair"].attributes["relocactive"] == (server_dn("node2").encode(),)
        assert found["node1"].csn

    async def test_by_any_spelling_of_the_name(self, slapd):
        async with reader_for(slapd.uri) as reader:
            assert await names(reader, DN.parse(f"CN = WEB , {WEB.parent}")) == {"node1", "pair"}

    async def test_nobody_is_the_positive_word_of_the_server(self, slapd):
        async with reader_for(slapd.uri) as reader:
            assert await reader.linking_to(DN.parse(service_dn("none"))) == ()

    async def test_a_service_need_not_be_there(self, slapd):
        async with reader_for(slapd.uri) as reader:
            assert await names(reader, DN.parse(service_dn("ntp"))) == {"node1", "node2"}

    @pytest.mark.parametrize("name", ["a*", "(b)", "a\\\\b", "a\\2Cb", "ü"])
    async def test_names_that_need_escapes_mean_only_themselves(self, slapd, name):
        service = f"cn={name},ou=services,{SUFFIX}"
        slapd.add(record(server_dn("odd"), {"objectClass": ("device", "relocServer"), "relocServiceLink": service}))
        slapd.add(server_ldif("other", services=["ab", "abc"]))
        async with reader_for(slapd.uri) as reader:
            assert await names(reader, DN.parse(service)) == {"odd"}


class TestDoubt:
    async def test_an_empty_directory(self):
        with Slapd(content="", durable=False) as slapd:
            async with reader_for(slapd.uri) as reader:
                with pytest.raises(Unavailable):
                    await reader.linking_to(WEB)

    @pytest.mark.parametrize("rule", ["by * none", "by * disclose", "by * search"])
    async def test_an_identity_that_may_not_read(self, rule):
        lines = [f"access to * {rule}"]
        with Slapd(content=CONTENT, database_lines=lines, durable=False) as slapd:
            async with reader_for(slapd.uri) as reader:
                with pytest.raises(Unavailable):
                    await reader.linking_to(WEB)

    async def test_a_limit_that_cuts_the_answer_off(self):
        with Slapd(content=CONTENT, database_lines=["limits * size=1"], durable=False) as slapd:
            async with reader_for(slapd.uri) as reader:
                with pytest.raises(Unavailable, match="limit"):
                    await reader.linking_to(WEB)

    async def test_a_dead_server(self):
        async with reader_for("ldap://127.0.0.1:1") as reader:
            with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
                await reader.linking_to(WEB)

    async def test_a_hung_server(self, slapd):
        async with reader_for(slapd.uri, operation_timeout_s=0.3) as reader:
            slapd.pause()
            with pytest.raises(Unavailable):
                await reader.linking_to(WEB)
            slapd.resume()
            assert await names(reader, WEB) == {"node1", "pair"}


async def test_a_connection_that_died_is_made_anew(slapd):
    async with reader_for(slapd.uri) as reader:
        assert await reader.by_dn(WEB)
        slapd.stop()
        slapd.start()
        assert await names(reader, WEB) == {"node1", "pair"}
