"""Direct reads from a real slapd: None only on the server's positive word, everything else is no knowledge."""

import asyncio
import time

import pytest

from relocd.adapters.ldap.reader import LdapReader
from relocd.errors import Unavailable
from relocd.model.dn import DN
from tests.adapters.ldap.lab import settings_for
from tests.lab.slapd.slapd import SUFFIX, Slapd, base_ldif, service_dn, service_ldif

pytestmark = pytest.mark.timeout(30)

WEB = DN.parse(service_dn("web"))
NONE = DN.parse(service_dn("none"))
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def slapd():
    with Slapd() as slapd:
        slapd.add(service_ldif("web", parameters={"port": "80"}))
        yield slapd


def reader_for(*uris, current=None, **more):
    return LdapReader(settings_for(*uris, **more), lambda: current)


def rename(slapd, dn, rdn):
    slapd.modify(f"dn: {dn}\nchangetype: modrdn\nnewrdn: {rdn}\ndeleteoldrdn: 1\n")


class TestAnswers:
    async def test_an_entry_is_found_by_any_spelling_of_its_name(self, slapd):
        async with reader_for(slapd.uri) as reader:
            entry = await reader.by_dn(DN.parse(service_dn(" WEB ")))
        assert entry.dn == WEB
        assert entry.attributes["relocparameter"] == (b"port=80",)
        assert set(entry.attributes) == {"cn", "modifiersname", "objectclass", "relocparameter"}
        assert entry.csn

    async def test_an_entry_is_found_by_its_identity_after_it_was_renamed(self, slapd):
        async with reader_for(slapd.uri) as reader:
            before = await reader.by_dn(WEB)
            rename(slapd, service_dn("web"), "cn=www")
            after = await reader.by_uuid(before.uuid)
            assert (after.uuid, after.dn.name) == (before.uuid, "www")
            assert await reader.by_dn(WEB) is None

    async def test_none_is_the_positive_word_of_the_server(self, slapd):
        async with reader_for(slapd.uri) as reader:
            assert await reader.by_dn(NONE) is None
            assert await reader.by_uuid(NOBODY) is None

    async def test_names_that_need_escapes_are_read(self, slapd):
        dn = f"cn=a\\2C b*(c)\\\\,ou=services,{SUFFIX}"
        slapd.add(f"dn: {dn}\nobjectClass: relocService\n")
        async with reader_for(slapd.uri) as reader:
            entry = await reader.by_dn(DN.parse(dn))
            assert entry.dn == DN.parse(dn)
            assert await reader.by_dn(DN.parse(entry.dn.key)) == entry

    async def test_reads_at_once_are_all_answered(self, slapd):
        async with reader_for(slapd.uri) as reader:
            answers = await asyncio.gather(*(reader.by_dn(dn) for dn in (WEB, NONE) * 20))
        assert [answer is not None for answer in answers] == [True, False] * 20


class TestDoubt:
    """What could be taken for "gone" and is not."""

    async def test_an_empty_directory(self):
        with Slapd(content="") as slapd:
            async with reader_for(slapd.uri) as reader:
                for read in (reader.by_dn(WEB), reader.by_uuid(NOBODY)):
                    with pytest.raises(Unavailable, match=f"has no entry {SUFFIX}: it is empty or not yet loaded"):
                        await read
                await asyncio.to_thread(slapd.add, base_ldif())
                assert await reader.by_dn(WEB) is None

    @pytest.mark.parametrize(
        "rule",
        [
            pytest.param("by * none", id="nothing"),
            pytest.param("by * disclose", id="that it exists"),
            pytest.param("by * search", id="search"),
        ],
    )
    async def test_an_identity_that_may_not_read(self, rule):
        with Slapd(database_lines=[f"access to * {rule}"]) as slapd:
            slapd.add(service_ldif("web"))
            async with reader_for(slapd.uri) as reader:
                with pytest.raises(Unavailable):
                    await reader.by_dn(WEB)

    async def test_an_identity_that_may_not_search_identities(self):
        rules = ["access to attrs=entryUUID by * none", "access to * by * read"]
        with Slapd(database_lines=rules) as slapd:
            slapd.add(service_ldif("web"))
            async with reader_for(slapd.uri) as reader:
                with pytest.raises(Unavailable, match="entryUUID"):
                    await reader.by_uuid(NOBODY)
                with pytest.raises(Unavailable, match="entryUUID"):
                    await reader.by_dn(WEB)

    async def test_a_referral(self, slapd):
        slapd.add(
            f"dn: ou=far,{SUFFIX}\nobjectClass: referral\nobjectClass: extensibleObject\nref: ldap://far.invalid\n"
        )
        async with reader_for(slapd.uri) as reader:
            with pytest.raises(Unavailable):
                await reader.by_dn(DN.parse(f"cn=web,ou=far,{SUFFIX}"))

    async def test_a_dead_server(self):
        async with reader_for("ldap://127.0.0.1:1", "ldap://127.0.0.1:2") as reader:
            with pytest.raises(Unavailable, match=r"127.0.0.1:1: .*; ldap://127.0.0.1:2: "):
                await reader.by_dn(WEB)

    async def test_a_hung_server(self, slapd):
        async with reader_for(slapd.uri, operation_timeout_s=0.3) as reader:
            assert await reader.by_dn(WEB)
            slapd.pause()
            started = time.monotonic()
            with pytest.raises(Unavailable):
                await reader.by_dn(WEB)
            assert time.monotonic() - started < 2.0
            slapd.resume()
            assert await reader.by_dn(WEB)


class TestConnection:
    async def test_a_connection_that_died_is_made_anew(self, slapd):
        async with reader_for(slapd.uri) as reader:
            assert await reader.by_dn(WEB)
            slapd.kill()
            slapd.start()
            assert await reader.by_dn(WEB)

    async def test_the_first_server_that_answers_is_asked(self, slapd):
        async with reader_for("ldap://127.0.0.1:1", slapd.uri) as reader:
            assert await reader.by_dn(WEB)

    async def test_the_server_whose_search_is_followed_is_asked_and_no_other(self, slapd):
        async with reader_for(slapd.uri, current="ldap://127.0.0.1:1") as reader:
            with pytest.raises(Unavailable, match=r"ldap://127\.0\.0\.1:1"):
                await reader.by_dn(WEB)

    async def test_it_moves_with_the_search(self, slapd):
        with Slapd() as other:
            other.add(service_ldif("web", parameters={"port": "81"}))
            current = [slapd.uri]
            reader = LdapReader(settings_for(slapd.uri, other.uri), lambda: current[0])
            async with reader:
                assert (await reader.by_dn(WEB)).attributes["relocparameter"] == (b"port=80",)
                current[0] = other.uri
                assert (await reader.by_dn(WEB)).attributes["relocparameter"] == (b"port=81",)
                current[0] = None
                assert (await reader.by_dn(WEB)).attributes["relocparameter"] == (b"port=81",), "as long as it works"

    async def test_closing_waits_for_nothing(self, slapd):
        reader = reader_for(slapd.uri, operation_timeout_s=2.0)
        assert await reader.by_dn(WEB)
        slapd.pause()
        read = asyncio.create_task(reader.by_dn(WEB))
        await asyncio.sleep(0.05)
        started = time.monotonic()
        await reader.aclose()
        assert time.monotonic() - started < 0.5
        slapd.resume()
        assert await read

    async def test_a_reader_that_was_never_used_is_closed(self):
        await reader_for("ldap://127.0.0.1:1").aclose()
