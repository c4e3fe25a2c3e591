"""Direct reads: what completes the mirror, and the proof that a link is really gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from relocd.agent.directory.absence_check import ELSEWHERE, PUT_BACK, contradiction, fill, is_unlinked, leads_elsewhere
from relocd.errors import Failed, Unavailable
from relocd.model.dn import DN
from relocd.sync.mirror import Mirror
from relocd.sync.session import RefreshDone, Started, Upsert
from tests.support.directory import ModelDirectory
from tests.support.entries import BASE, ME, cluster, dn, entry, server, service, state, uuid_of
from tests.support.fake_directory import FakeReader

WEB = service("web")


def reader_of(*entries):
    return FakeReader(ModelDirectory(entries))


async def unlinked(*entries):
    return await is_unlinked(reader_of(*entries), uuid_of("me"), uuid_of("web"))


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param([server("me"), WEB], True, id="no link"),
        pytest.param([server("me", services=["web"]), WEB], False, id="a direct link"),
        pytest.param([server("me", services=["ntp"]), WEB], True, id="a link to another"),
        pytest.param([server("me")], True, id="the service is gone and nothing links to it"),
        pytest.param(
            [server("me", services=["ntp"]), service("ntp")],
            True,
            id="the service is gone and the links lead elsewhere",
        ),
        pytest.param(
            [server("me", clusters=["pair"]), cluster("pair", services=["web"]), WEB], False, id="through a cluster"
        ),
        pytest.param([server("me", clusters=["pair"]), cluster("pair"), WEB], True, id="not through the cluster"),
        pytest.param([server("me"), cluster("pair", services=["web"]), WEB], True, id="a cluster of others"),
        pytest.param([server("me", relocServiceLink="CN = WEB , " + ME.partition(",")[2]), WEB], False, id="spelling"),
        pytest.param([server("myself", uuid=uuid_of("me")), WEB], True, id="my entry renamed"),
        pytest.param(
            [server("me", services=["www"]), service("www", uuid=uuid_of("web"))], False, id="the service renamed"
        ),
    ],
)
async def test_a_link_is_gone_when_the_directory_says_so(entries, expected):
    assert await unlinked(*entries) is expected


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([], id="an empty directory"),
        pytest.param([WEB, server("twin")], id="my entry is not there"),
        pytest.param([WEB, server("me", relocFenced="?")], id="my entry cannot be understood"),
        pytest.param([WEB, service("me")], id="my entry is no server"),
        pytest.param(
            [WEB, server("me", clusters=["pair"]), cluster("pair", relocFailover="?")],
            id="my cluster cannot be understood",
        ),
    ],
)
async def test_on_doubt_nothing_is_known(entries):
    with pytest.raises(Unavailable, match="nothing is stopped on that"):
        await unlinked(*entries)


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([server("me", services=["web"])], id="a direct link"),
        pytest.param([server("me", clusters=["pair"]), cluster("pair", services=["web"])], id="through a cluster"),
        pytest.param([server("me", clusters=["gone"]), WEB], id="a cluster that cannot be seen may link to it"),
        pytest.param(
            [server("me", relocServiceLink=f"cn=web,ou=former,{BASE}"), WEB], id="a link to what is called so elsewhere"
        ),
    ],
)
async def test_a_link_that_leads_to_nothing_may_be_that_to_the_service(entries):
    with pytest.raises(Unavailable, match="remove the link"):
        await unlinked(*entries)


@pytest.mark.parametrize("error", [Unavailable("silent"), Failed("refused")])
async def test_a_reader_that_cannot_read_proves_nothing(error):
    reader = reader_of(server("me"), WEB)
    reader.refusal = error
    with pytest.raises(type(error)):
        await is_unlinked(reader, uuid_of("me"), uuid_of("web"))


class TestFill:
    @pytest.fixture
    def directory(self):
        return ModelDirectory([server("me", services=["web", "ntp"]), service("web"), service("ntp")])

    @pytest.fixture
    def mirror(self, directory):
        """One that knows my entry and misses both services."""
        mirror = Mirror(DN.parse(ME))
        me, *services = directory.refresh()[1:4]
        started, *end = directory.refresh()[0:1] + directory.refresh()[4:]
        mirror.apply([started, *services, me, *end])
        return mirror

    async def test_what_is_missing_is_read(self, mirror, directory):
        assert len(mirror.missing) == 2
        assert await fill(mirror, FakeReader(directory))
        assert mirror.missing == ()
        assert len(mirror.snapshot.services) == 2

    async def test_what_is_not_found_stays_missing(self, mirror):
        assert not await fill(mirror, reader_of())
        assert len(mirror.missing) == 2

    async def test_nothing_read_raises_why(self, mirror, directory):
        reader = FakeReader(directory)
        reader.refusal = Failed("insufficient access")
        with pytest.raises(Failed):
            await fill(mirror, reader)

    async def test_one_that_cannot_be_read_does_not_keep_the_other_from_being_filled(self, mirror, directory):
        reader = FakeReader(directory)
        reader.refused = {uuid_of("ntp"): Failed("insufficient access")}
        assert await fill(mirror, reader)
        assert [record.uuid for record in mirror.missing] == [uuid_of("ntp")]

    async def test_the_state_of_a_service_that_was_renamed_has_its_new_name(self):
        """No search tells of that, and a server that is linked later needs it."""
        directory = ModelDirectory([server("me"), WEB, state("web", holder="other")])
        before = Mirror(DN.parse(ME))
        before.apply(directory.refresh())
        directory.rename(uuid_of("web"), "www")
        directory.put(server("me", services=["www"]))
        mirror = Mirror(DN.parse(ME), before.saved)
        mirror.apply(directory.refresh(before.saved.cookie))
        assert await fill(mirror, FakeReader(directory))
        assert mirror.missing == ()
        assert mirror.snapshot.states[uuid_of("web")].holder == DN.parse(dn("other"))

    async def test_what_is_not_by_its_name_any_more_is_read_by_its_identity(self, mirror, directory):
        """A folder above it was renamed, of a class that no search asks for."""
        moved = replace(directory.entries[uuid_of("web")], dn=DN.parse(f"cn=web,ou=elsewhere,{BASE}"))
        directory.entries[uuid_of("web")] = moved
        assert await fill(mirror, FakeReader(directory))
        assert mirror.key(uuid_of("web")) == moved.dn.key
        assert mirror.missing == ()


class TestPutBack:
    """The mirror knows my entry by change 5, and the service and that of nobody here by change 4."""

    @pytest.fixture
    def mirror(self):
        mirror = Mirror(DN.parse(ME))
        known = [server("me", services=["web"], at=5), service("web", at=4), service("ntp", at=4)]
        mirror.apply([Started("ldap://localhost", fresh=True), *map(Upsert, known), RefreshDone()])
        return mirror

    @staticmethod
    def reader(*entries):
        """One that finds entries in the state in which they are given."""
        reader = reader_of()
        reader.directory.entries.update({entry.uuid: entry for entry in entries})
        return reader

    @pytest.mark.parametrize(
        ("me", "web", "ntp", "expected"),
        [
            pytest.param(5, 4, 4, "", id="as it was"),
            pytest.param(9, 9, 9, ELSEWHERE, id="newer, and the search does not tell"),
            pytest.param(3, 4, 4, PUT_BACK, id="my entry is older"),
            pytest.param(9, 3, 9, PUT_BACK, id="the service is older, my entry newer"),
            pytest.param(5, 4, 1, "", id="of no concern"),
        ],
    )
    async def test_what_is_older_than_it_was_known_tells(self, mirror, me, web, ntp, expected):
        there = [server("me", at=me), service("web", at=web), service("ntp", at=ntp)]
        assert await contradiction(mirror, self.reader(*there)) is expected

    async def test_what_is_gone_and_was_not_told_of_tells(self, mirror):
        there = self.reader(server("me", at=5))
        assert await contradiction(mirror, there) == ELSEWHERE

    async def test_a_name_that_was_not_told_of_tells(self, mirror):
        """What is below an entry that is renamed has the same change number as before."""
        moved = replace(service("web", at=4), dn=DN.parse(f"cn=web,ou=elsewhere,{BASE}"))
        assert await contradiction(mirror, self.reader(server("me", at=5), moved)) == ELSEWHERE

    async def test_what_is_told_within_a_moment_tells_nothing(self, mirror):
        moved = replace(service("web", at=6), dn=DN.parse(f"cn=web,ou=elsewhere,{BASE}"))
        asking = asyncio.create_task(contradiction(mirror, self.reader(server("me", at=5), moved)))
        await asyncio.sleep(0)
        mirror.apply([Upsert(moved)])
        assert await asking == ""

    async def test_what_cannot_be_read_tells_nothing_unless_another_does(self, mirror):
        reader = self.reader(server("me", at=5), service("web", at=4))
        reader.refused = {uuid_of("web"): Failed("insufficient access")}
        with pytest.raises(Failed):
            await contradiction(mirror, reader)
        reader.directory.entries[uuid_of("me")] = server("me", at=1)
        assert await contradiction(mirror, reader) == PUT_BACK


class TestLeadsElsewhere:
    """A name that leads to nothing by what the search has told."""

    @pytest.fixture
    def mirror(self):
        mirror = Mirror(DN.parse(ME))
        mirror.apply(ModelDirectory([server("me", services=["web"])]).refresh())
        return mirror

    @pytest.mark.parametrize(
        ("there", "expected"),
        [
            pytest.param([], False, id="nothing has that name"),
            pytest.param([WEB], True, id="an entry that the search does not tell of"),
            pytest.param([entry("web", "device")], False, id="an entry of another kind"),
        ],
    )
    async def test_what_the_directory_has_at_that_name(self, mirror, there, expected):
        assert await leads_elsewhere(mirror, reader_of(*there), DN.parse(dn("web")), DN.parse(BASE)) is expected

    async def test_what_is_outside_the_base_is_of_no_concern(self, mirror):
        assert not await leads_elsewhere(mirror, reader_of(WEB), DN.parse(dn("web")), DN.parse("ou=other"))

    async def test_what_the_search_tells_within_a_moment(self, mirror):
        asking = asyncio.create_task(leads_elsewhere(mirror, reader_of(WEB), DN.parse(dn("web")), DN.parse(BASE)))
        await asyncio.sleep(0)
        mirror.apply([Upsert(WEB)])
        assert not await asking
