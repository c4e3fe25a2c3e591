"""Writes to a real slapd: every answer for real, and what is reported is what is in the directory."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from relocd.adapters.ldap.writer import LdapWriter
from relocd.errors import Failed, Invalid, Unavailable
from relocd.model.dn import DN
from relocd.model.writes import Add, Conflict, Delete, Done, Exists, Increment, Lost, Modification, Replace, swap
from tests.adapters.ldap.lab import settings_for
from tests.adapters.ldap.writer_lab import (
    DEAD,
    NODES,
    STATE,
    directory,
    port_of,
    read,
    state,
    take,
    writer_for,
    writer_settings,
)
from tests.lab.slapd.slapd import ROOT_DN, SUFFIX, server_dn, service_dn

pytestmark = pytest.mark.timeout(30)

STATUS = DN.parse(f"cn=status,{server_dn('node1')}")
STATUS_CONTENT = {"objectClass": (b"relocServerStatus",), "relocProblem": (b"one", b"two")}
NONE = DN.parse(f"cn=state,{service_dn('none')}")


@pytest.fixture
def slapd():
    with directory() as slapd:
        yield slapd


class TestReach:
    async def test_it_answers_and_changes_nothing(self, slapd):
        async with writer_for(slapd) as writer:
            before = await read(slapd)
            await writer.reach()
            assert await read(slapd) == before
            assert await writer.apply(take(NODES[0], NODES[1])) == Done()

    async def test_one_that_hangs_is_unavailable_and_the_next_connection_is_another(self, slapd):
        async with writer_for(slapd, operation_timeout_s=0.3) as writer:
            await writer.reach()
            port = port_of(writer)
            slapd.pause()
            with pytest.raises(Unavailable, match="before releasing"):
                await writer.reach()
            slapd.resume()
            await writer.reach()
            assert port_of(writer) != port

    async def test_without_a_server_it_is_unavailable(self, slapd):
        async with writer_for(slapd, DEAD) as writer:
            with pytest.raises(Unavailable):
                await writer.reach()

    async def test_a_base_that_is_not_there_is_refused(self, slapd):
        async with LdapWriter(replace(writer_settings(slapd), base=f"ou=none,{SUFFIX}"), lambda: None) as writer:
            with pytest.raises(Failed):
                await writer.reach()


class TestModify:
    async def test_a_swap_and_its_generation_are_one_modify(self, slapd):
        async with writer_for(slapd) as writer:
            assert await writer.apply(take(NODES[0], NODES[1])) == Done()
            assert await state(slapd) == (NODES[1], 8)
            assert await writer.apply(take(NODES[1], None)) == Done()
            assert await state(slapd) == (None, 9)
            assert await writer.apply(take(None, NODES[2])) == Done()
            assert await state(slapd) == (NODES[2], 10)

    async def test_the_old_value_is_compared_as_a_name(self, slapd):
        async with writer_for(slapd) as writer:
            assert await writer.apply(take(NODES[0].upper(), NODES[1])) == Done()

    async def test_changes_are_made_in_their_order(self, slapd):
        changes = (
            Replace("description", (b"one", b"two")),
            Delete("description", (b"one",)),
            Add("description", (b"three", b"four")),
            Replace("relocHolder"),
            Replace("relocPrevious"),  # there is none, and that is well
            Increment("relocGeneration", 5),
            Increment("relocGeneration", -2),
        )
        async with writer_for(slapd) as writer:
            assert await writer.apply(Modification(STATE, changes)) == Done()
        attributes = (await read(slapd)).attributes
        assert set(attributes["description"]) == {b"two", b"three", b"four"}
        assert attributes["relocgeneration"] == (b"10",)
        assert "relocholder" not in attributes

    @pytest.mark.parametrize(
        ("write", "conflict"),
        [
            pytest.param(take(NODES[1], NODES[2]), Conflict.NO_SUCH_ATTRIBUTE, id="another value to delete"),
            pytest.param(
                Modification(STATE, (*swap("relocCandidate", NODES[1], None), Increment("relocGeneration"))),
                Conflict.NO_SUCH_ATTRIBUTE,
                id="no value to delete",
            ),
            pytest.param(take(None, NODES[1]), Conflict.CONSTRAINT_VIOLATION, id="a second value of a single one"),
            pytest.param(take(None, NODES[0]), Conflict.VALUE_EXISTS, id="the same value again"),
            pytest.param(take(NODES[0], NODES[1], "(relocGeneration=6)"), Conflict.ASSERTION_FAILED, id="assertion"),
            pytest.param(
                take(NODES[0], NODES[1], "(relocNonsense=6)"), Conflict.ASSERTION_FAILED, id="assertion of nothing"
            ),
            pytest.param(
                Modification(STATUS, (Increment("relocGeneration"),)), Conflict.NO_SUCH_OBJECT, id="no such entry"
            ),
        ],
    )
    async def test_who_comes_late_is_told_why_and_changes_nothing(self, slapd, write, conflict):
        async with writer_for(slapd) as writer:
            outcome = await writer.apply(write)
            assert isinstance(outcome, Lost)
            assert outcome.conflict is conflict
            assert outcome.reason.startswith(f"{slapd.uri}: modify {write.dn}: ")
            assert await state(slapd) == (NODES[0], 7)
            before = port_of(writer)
            assert await writer.apply(take(NODES[0], NODES[1])) == Done()
            assert port_of(writer) == before, "to lose is no reason to part"

    async def test_an_increment_of_nothing_is_lost(self, slapd):
        async with writer_for(slapd) as writer:
            assert await writer.apply(Modification(STATE, (Replace("relocGeneration"),))) == Done()
            outcome = await writer.apply(Modification(STATE, (Increment("relocGeneration"),)))
        assert isinstance(outcome, Lost)
        assert outcome.conflict is Conflict.NO_SUCH_ATTRIBUTE

    async def test_an_assertion_that_holds(self, slapd):
        async with writer_for(slapd) as writer:
            assertion = f"(&(relocGeneration=7)(relocHolder={NODES[0].decode()})(!(relocCandidate=*)))"
            assert await writer.apply(take(NODES[0], NODES[1], assertion)) == Done()
            outcome = await writer.apply(take(NODES[1], NODES[2], assertion))
        assert isinstance(outcome, Lost)
        assert await state(slapd) == (NODES[1], 8)

    @pytest.mark.parametrize("assertion", ["", "((", "relocGeneration"])
    async def test_an_assertion_that_is_no_filter(self, assertion):
        async with LdapWriter(settings_for(DEAD), lambda: None) as writer:
            with pytest.raises(Invalid, match="is not an LDAP filter"):
                await writer.apply(take(NODES[0], NODES[1], assertion))

    async def test_names_that_need_escapes_are_written(self, slapd):
        dn = DN.parse(f"cn=a\\2C b*(c)\\\\,ou=services,{SUFFIX}")
        async with writer_for(slapd) as writer:
            assert await writer.create(dn, {"objectClass": (b"relocService",)}) == Done()
            assert await writer.apply(Modification(dn, (Add("description", (b"x",)),))) == Done()
        assert (await read(slapd, dn)).attributes["description"] == (b"x",)


class TestCreate:
    async def test_an_entry_is_created_once(self, slapd):
        async with writer_for(slapd) as writer:
            assert await writer.create(STATUS, STATUS_CONTENT) == Done()
            assert await writer.create(STATUS, {"objectClass": (b"relocServerStatus",)}) == Exists()
        attributes = (await read(slapd, STATUS)).attributes
        assert set(attributes["relocproblem"]) == {b"one", b"two"}

    async def test_of_many_creators_one_has_done_it(self, slapd):
        writers = [writer_for(slapd) for _ in range(4)]
        outcomes = await asyncio.gather(*(writer.create(STATUS, STATUS_CONTENT) for writer in writers))
        await asyncio.gather(*(writer.aclose() for writer in writers))
        assert Counter(map(type, outcomes)) == {Done: 1, Exists: 3}

    async def test_an_entry_below_nothing_is_lost(self, slapd):
        async with writer_for(slapd) as writer:
            outcome = await writer.create(NONE, {"objectClass": (b"relocServiceState",)})
        assert isinstance(outcome, Lost)
        assert outcome.conflict is Conflict.NO_SUCH_OBJECT


class TestRaces:
    async def test_of_two_swaps_at_once_exactly_one_is_done(self, slapd):
        async with writer_for(slapd) as one, writer_for(slapd) as other:
            holder = NODES[0]
            for _ in range(30):
                outcomes = await asyncio.gather(
                    one.apply(take(holder, NODES[1 if holder != NODES[1] else 2])),
                    other.apply(take(holder, NODES[3 if holder != NODES[3] else 0])),
                )
                assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Done", "Lost"]
                holder, _ = await state(slapd)
            assert await state(slapd) == (holder, 7 + 30)

    async def test_no_increment_gets_lost(self, slapd):
        write = Modification(STATE, (Increment("relocGeneration"),))
        writers = [writer_for(slapd) for _ in range(4)]
        outcomes = await asyncio.gather(*(writer.apply(write) for writer in writers * 25))
        await asyncio.gather(*(writer.aclose() for writer in writers))
        assert outcomes == [Done()] * 100
        assert await state(slapd) == (NODES[0], 107)


class TestRefusals:
    """What the server does not do, whoever was faster: the error says what to do about it."""

    async def test_insufficient_access(self):
        with directory(rule="access to * by * read") as slapd:
            async with writer_for(slapd) as writer:
                with pytest.raises(Failed, match=r"modify cn=state.*Insufficient access.*must let this identity write"):
                    await writer.apply(take(NODES[0], NODES[1]))
                with pytest.raises(Failed, match=r"create cn=status.*must let this identity write"):
                    await writer.create(STATUS, STATUS_CONTENT)
            assert await state(slapd) == (NODES[0], 7)

    async def test_nobody_in_particular(self, slapd):
        async with LdapWriter(settings_for(slapd.uri), lambda: None) as writer:
            with pytest.raises(Failed, match=r"modifications require authentication.*set `bind`"):
                await writer.apply(take(NODES[0], NODES[1]))

    async def test_a_read_only_database(self):
        with directory("readonly on", content="") as slapd:
            async with writer_for(slapd, bind_dn=ROOT_DN) as writer:
                with pytest.raises(Failed, match=r"operation restricted.*read-only"):
                    await writer.apply(take(NODES[0], NODES[1]))
                with pytest.raises(Failed, match=r"operation restricted.*read-only"):
                    await writer.create(STATUS, STATUS_CONTENT)

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ([], r"shadow context; no update referral.*name a provider in `uris`"),
            (
                ["updateref ldap://provider.example.org"],
                r"Referral: ldap://provider\.example\.org/cn=state.*only copies another one; name that one in `uris`",
            ),
        ],
    )
    async def test_a_consumer(self, more, words):
        following = f'syncrepl rid=1 provider={DEAD} type=refreshOnly searchbase="{SUFFIX}" bindmethod=simple'
        with directory(following, *more, content="") as slapd:
            async with writer_for(slapd, bind_dn=ROOT_DN) as writer:
                with pytest.raises(Failed, match=words):
                    await writer.apply(take(NODES[0], NODES[1]))

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(Add("relocNonsense", (b"1",)), id="no such attribute type"),
            pytest.param(Add("relocCandidate", (b"no name",)), id="malformed value"),
            pytest.param(Add("relocAddress", (b"192.0.2.1/24",)), id="attribute of another class"),
        ],
    )
    async def test_what_the_schema_does_not_allow(self, slapd, change):
        async with writer_for(slapd) as writer:
            with pytest.raises(Failed, match="must have relocd's schema"):
                await writer.apply(Modification(STATE, (change, Increment("relocGeneration"))))
            assert await state(slapd) == (NODES[0], 7)
            assert await writer.apply(take(NODES[0], NODES[1])) == Done()
