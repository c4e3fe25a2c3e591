"""Nothing acts on doubt: what an agent does not know for certain changes nothing."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from relocd.errors import Failed, Unavailable
from relocd.model.template_set import FileSpec
from relocd.sync.session import SearchLost
from tests.support.directory import ModelDirectory
from tests.support.entries import cluster, server, uuid_of
from tests.support.fake_directory import FakeOutlets
from tests.support.fakes import until
from tests.support.plans import template_set
from tests.unit.agent.lab import HELD, Lab, a_while, web


@pytest.fixture
def lab():
    return Lab(server("me", services=["web"]), web())


class TestNothingActsOnDoubt:
    async def remains(self, lab):
        await a_while()
        assert lab.server.take_effects() == []
        assert lab.server.addresses.ours == {HELD}

    @asynccontextmanager
    async def served(self, lab):
        async with lab.agent() as task:
            lab.directory.refresh()
            await lab.serving()
            lab.server.take_effects()
            yield task

    async def test_an_empty_directory(self, lab):
        async with self.served(lab):
            lab.directory.feed.tell(ModelDirectory().refresh())
            await self.remains(lab)
            await lab.says("no such entry")

    async def test_my_entry_gone(self, lab):
        async with self.served(lab):
            lab.directory.delete(uuid_of("me"))
            await self.remains(lab)

    async def test_my_entry_broken(self, lab):
        async with self.served(lab):
            lab.directory.put(server("me", relocFenced="?"))
            await self.remains(lab)

    async def test_the_service_broken(self, lab):
        async with self.served(lab):
            lab.directory.put(web(relocInterface="?/?"))
            await self.remains(lab)
            await lab.says("relocInterface")

    async def test_the_cluster_broken(self):
        lab = Lab(server("me", clusters=["pair"]), web(), cluster("pair", services=["web"], active="me"))
        async with self.served(lab):
            lab.directory.put(cluster("pair", services=["web"], active="me", relocFailover="?"))
            await self.remains(lab)
            await lab.says("relocFailover")

    async def test_an_absence_that_a_direct_read_does_not_confirm(self, lab):
        async with self.served(lab):
            lab.directory.feed.tell(ModelDirectory([server("me")]).refresh())
            await self.remains(lab)
            await lab.says("a direct read still finds the link")

    @pytest.mark.parametrize("error", [Unavailable("silent"), Failed("insufficient access")])
    async def test_an_absence_while_nothing_can_be_read(self, lab, error):
        async with self.served(lab) as task:
            lab.directory.reader.refusal = error
            lab.directory.put(server("me"))
            await self.remains(lab)
            assert not task.done()
            lab.directory.reader.refusal = None
            await until(lambda: not lab.server.addresses.ours)

    async def test_the_directory_lost(self, lab):
        async with self.served(lab):
            lab.directory.feed.tell([SearchLost("connection refused")])
            await self.remains(lab)
            await until(lambda: lab.said.status["directory"]["state"] == "lost")
            assert "connection refused" in lab.said.status["directory"]["detail"]
            assert "lost" in lab.said.line

    async def test_the_service_renamed_before_its_link_is(self, lab):
        files = (FileSpec("conf.j2", "/etc/app/fixed.conf"),)
        lab.server.install_set(template_set(files=files), "the same for any name")
        async with self.served(lab):
            lab.directory.feed.tell(lab.directory.model.rename(uuid_of("web"), "www"))
            await self.remains(lab)
            await lab.says("correct the link")
            lab.directory.put(server("me", services=["web", "absent"]))
            await self.remains(lab)
            lab.directory.put(server("me", services=["www"]))
            await self.remains(lab)
            await until(lambda: not lab.problems())

    async def test_my_entry_renamed(self, lab):
        async with self.served(lab):
            lab.directory.feed.tell(lab.directory.model.rename(uuid_of("me"), "myself"))
            await self.remains(lab)

    async def test_the_active_server_renamed(self):
        lab = Lab(server("me", clusters=["pair"]), web(), cluster("pair", services=["web"], active="me"))
        async with self.served(lab):
            lab.directory.feed.tell(lab.directory.model.rename(uuid_of("me"), "myself"))
            await self.remains(lab)

    async def test_the_agent_ended_and_started(self, lab):
        async with self.served(lab):
            pass
        assert lab.directory.cache.saved.cookie == lab.directory.model.cookie
        await self.remains(lab)
        lab.said = FakeOutlets()
        async with lab.agent():
            await self.remains(lab)
            lab.directory.feed.tell(lab.directory.model.refresh(lab.directory.cache.saved.cookie))
            await until(lambda: lab.said.status.get("directory", {}).get("state") == "current")
            await lab.serving()
            await self.remains(lab)
