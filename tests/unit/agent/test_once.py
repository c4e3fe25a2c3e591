"""One cycle: what it would do, what it does, and what it leaves alone; differences without secrets."""

from __future__ import annotations

import pytest

from relocd.agent.once import apply_once, difference, plan_once
from relocd.errors import Failed, Unavailable
from relocd.model.settings import AgentSettings, DirectorySettings, ServerSettings, Settings
from relocd.model.template_set import Scope
from relocd.sync.session import SearchLost
from tests.support.entries import BASE, ME, cluster, server, service, state, uuid_of
from tests.support.fake_directory import FakeDirectory
from tests.support.fakes import FakeServer
from tests.support.plans import new_file, template_set

SETTINGS = Settings(
    ServerSettings(ME),
    DirectorySettings(("ldap://a", "ldap://b"), BASE, retry_min_s=0.005),
    agent=AgentSettings(settle_ms=0),
)
HELD = "192.0.2.10/24 on eth0"


def web(**more):
    return service("web", relocAddress="192.0.2.10/24", relocTemplateSet="web", **more)


@pytest.fixture
def host():
    found = FakeServer()
    found.install_set(template_set(), "conf of {service[name]}, {role}")
    return found


async def cycle(host, *entries, how=apply_once, timeout_s=5.0, directory=None, held=True):
    """One cycle in a directory in which this server holds web."""
    states = [state("web", holder="me")] if held else []
    directory = directory or FakeDirectory(*entries, *states)
    directory.refresh()
    return await how(SETTINGS, host.host, directory.ways, timeout_s)


async def test_the_plan_shows_actions_and_differences_and_changes_nothing(host):
    found = await cycle(host, server("me", services=["web"]), web(), how=plan_once)
    (step,) = found.steps
    assert (step.name, step.wanted, step.problems) == ("web", "active: linked directly", ())
    assert [str(action).split()[0] for action in step.actions] == ["install", "probe", "raise", "start", "announce"]
    assert step.differences == (
        "--- /dev/null\n+++ /etc/app/web.conf\n@@ -0,0 +1 @@\n+conf of web, active\n\\ No newline at end of file\n",
    )
    assert host.world.effects == []


async def test_a_cycle_carries_it_out_and_a_second_one_finds_nothing_to_do(host):
    entries = [server("me", services=["web"]), web()]
    (step,) = (await cycle(host, *entries)).steps
    assert host.addresses.ours == {HELD}
    assert len(step.actions) == 5
    (step,) = (await cycle(host, *entries)).steps
    assert (step.actions, step.problems) == ((), ())


async def test_what_is_not_linked_any_more_is_left(host):
    await cycle(host, server("me", services=["web"]), web())
    found = await cycle(host, server("me"), web(), how=plan_once, held=False)
    assert [(step.name, step.wanted) for step in found.steps] == [("web", "no longer linked")]
    assert [str(action).split()[0] for action in found.steps[0].actions] == ["drop", "stop", "remove"]
    await cycle(host, server("me"), web(), held=False)
    assert host.state() == ({}, set(), set(), {})


class TestExclusive:
    async def test_what_nobody_holds_is_left_to_the_agents(self, host):
        (step,) = (await cycle(host, server("me", services=["web"]), web(), held=False)).steps
        assert (step.actions, step.problems) == ((), ())
        assert host.addresses.ours == set()

    async def test_what_is_here_stays_while_nobody_holds_it(self, host):
        entries = [server("me", services=["web"]), web()]
        await cycle(host, *entries)
        await cycle(host, *entries, held=False)
        assert host.addresses.ours == {HELD}

    async def test_what_another_holds_is_stopped(self, host):
        entries = [server("me", services=["web"]), server("twin", services=["web"]), web()]
        await cycle(host, *entries)
        await cycle(host, *entries, state("web", holder="twin"), held=False)
        assert host.addresses.ours == set()

    async def test_a_direct_read_must_find_the_holder_too(self, host):
        directory = FakeDirectory(server("me", services=["web"]), web(), state("web", holder="me"))
        directory.refresh()
        directory.model.put(state("web", holder="twin", generation=2))
        found = await apply_once(SETTINGS, host.host, directory.ways, 5.0)
        assert len(found.steps[0].problems) == 1
        assert host.addresses.ours == set()


async def test_problems_of_the_directory_are_shown_and_the_rest_goes_on(host):
    found = await cycle(host, server("me", services=["web", "gone"]), web())
    assert [problem.subject for problem in found.problems] == [ME]
    assert host.addresses.ours == {HELD}


@pytest.mark.parametrize("how", [plan_once, apply_once])
async def test_a_broken_template_is_the_problem_of_its_step(host, how):
    entries = [server("me", services=["web", "db"]), web(), service("db", relocTemplateSet="gone")]
    found = await cycle(host, *entries, how=how)
    problems = {step.name: step.problems for step in found.steps}
    assert problems == {"web": (), "db": ("there is no template set gone here; add it",)}


@pytest.mark.parametrize("how", [plan_once, apply_once])
@pytest.mark.parametrize("error", [Unavailable("silent"), Failed("insufficient access")])
async def test_what_cannot_be_confirmed_stays_and_the_rest_is_done(host, how, error):
    await cycle(host, server("me", services=["web"]), web())
    host.take_effects()
    directory = FakeDirectory(server("me", services=["db"]), web(), service("db"))

    directory.reader.refused = {uuid_of("web"): error}
    found = await cycle(host, how=how, directory=directory)
    doubt = next(step for step in found.steps if step.name == "web")
    assert (doubt.wanted, doubt.problems) == ("unknown", (f"stays: {error}",))
    assert {step.name for step in found.steps} == {"web", "db"}
    assert host.addresses.ours == {HELD}


async def test_what_cannot_be_understood_stays(host):
    entries = [server("me", clusters=["pair"]), web()]
    await cycle(host, *entries, cluster("pair", services=["web"], active="me"))
    await cycle(host, *entries, cluster("pair", services=["web"], active="me", relocFailover="?"))
    assert host.addresses.ours == {HELD}


async def test_a_set_of_the_whole_server_does_not_change_for_a_typo_in_one_service(host):
    host.install_set(template_set(scope=Scope.SERVER, units=()), "{services}")
    entries = [server("me", services=["web", "db"]), service("db", relocTemplateSet="web")]
    await cycle(host, *entries, web())
    host.take_effects()
    await cycle(host, *entries, web(relocExclusive="?"))
    assert host.take_effects() == []


async def test_a_set_of_the_whole_server_goes_after_its_services(host):
    host.install_set(template_set(scope=Scope.SERVER, units=()), "x")
    await cycle(host, server("me", services=["web"]), web())
    assert host.files.contents
    directory = FakeDirectory(server("me"), web())
    directory.reader.refused = {uuid_of("web"): Unavailable("silent")}
    found = await cycle(host, directory=directory)
    assert {step.name: step.wanted for step in found.steps} == {"web": "unknown"}
    assert host.files.contents
    host.ledger.stored = {goal: kept for goal, kept in host.ledger.stored.items() if goal.startswith("server:")}
    await cycle(host, server("me"), web(), held=False)
    assert not host.files.contents


class TestWithoutAnAnswer:
    async def test_when_every_server_was_tried_it_says_why(self, host):
        directory = FakeDirectory()
        directory.feed.tell([SearchLost("a: refused")])
        directory.feed.tell([SearchLost("b: refused")])
        with pytest.raises(Unavailable, match="a: refused; b: refused"):
            await apply_once(SETTINGS, host.host, directory.ways, 5.0)

    async def test_the_second_server_is_tried(self, host):
        directory = FakeDirectory(server("me", services=["web"]), web())
        directory.feed.tell([SearchLost("a: refused")])
        assert (await cycle(host, directory=directory)).steps

    async def test_after_the_time_limit_it_says_so(self, host):
        with pytest.raises(Unavailable, match=r"the directory was not read within 0\.02 s"):
            await apply_once(SETTINGS, host.host, FakeDirectory().ways, 0.02)

    async def test_an_entry_that_cannot_be_read_ends_with_the_time_limit(self, host):
        directory = FakeDirectory(web(), server("me", services=["web"]))
        directory.reader.directory = FakeDirectory().model
        with pytest.raises(Unavailable, match="was not read within"):
            await cycle(host, directory=directory, timeout_s=0.05)

    async def test_without_my_entry_it_says_so(self, host):
        with pytest.raises(Unavailable, match="no such entry that this server may read"):
            await cycle(host, server("twin"))


class TestDifference:
    def test_lines_that_change(self):
        assert difference(b"a\nb\n", new_file("/etc/app/x", "a\nc\n")) == (
            "--- /etc/app/x\n+++ /etc/app/x\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
        )

    def test_a_new_file(self):
        assert difference(None, new_file("/etc/app/x", "a\n")).startswith("--- /dev/null\n+++ /etc/app/x\n")

    def test_the_same_content(self):
        assert difference(b"a\n", new_file("/etc/app/x", "a\n")) == ""

    def test_bytes_that_are_no_text(self):
        assert "-\ufffd\n" in difference(b"\xff\n", new_file("/etc/app/x", "a\n"))

    def test_a_file_made_with_a_secret_is_not_shown(self):
        shown = difference(b"s3cret\n", new_file("/etc/app/x", "s3cret2\n", secret=True))
        assert "s3cret" not in shown
        assert "/etc/app/x" in shown
        assert "not shown" in shown

    async def test_nor_is_one_that_held_a_secret_before(self, host):
        host.renderer.templates["web", "conf.j2"] = "{secrets[token]}"
        entries = [server("me", services=["web"]), web(relocSecret="token=s3cret")]
        await cycle(host, *entries)
        host.renderer.templates["web", "conf.j2"] = "nothing secret any more"
        assert "s3cret" not in repr(await cycle(host, *entries, how=plan_once))

    async def test_also_in_a_plan(self, host):
        host.renderer.templates["web", "conf.j2"] = "{secrets[token]}"
        entries = [server("me", services=["web"]), web(relocSecret="token=s3cret")]
        assert "s3cret" not in repr(await cycle(host, *entries, how=plan_once))
        found = await cycle(host, *entries)
        assert host.files.text("/etc/app/web.conf") == "s3cret"
        assert "s3cret" not in repr(found)


class TestWordsOfPrograms:
    """A status command that is killed has said something; nothing else knows the state of the unit."""

    @pytest.fixture
    def dying(self, host, monkeypatch):
        """From now on the state of no unit is known."""

        async def state(name):
            raise Failed(f"the state of {name} is not known", "cannot log in with s3cret")

        return lambda: monkeypatch.setattr(host.units, "state", state)

    @pytest.mark.parametrize("how", [plan_once, apply_once])
    async def test_they_are_shown_without_the_secrets(self, host, dying, how):
        dying()
        entries = [server("me", services=["web"]), web(relocSecret="token=s3cret")]
        (step,) = (await cycle(host, *entries, how=how)).steps
        assert step.problems == ("the state of web is not known: cannot log in with ********",)

    async def test_of_a_service_that_leaves_they_are_not_shown(self, host, dying):
        """Its secrets are not known any more."""
        await cycle(host, server("me", services=["web"]), web(relocSecret="token=s3cret"))
        dying()
        (step,) = (await cycle(host, server("me"), web(), held=False)).steps
        assert "state of web is not known" in step.problems[0]
        assert "s3cret" not in repr(step)
