"""Templates rendered by a real worker process, also by templates that mean no good."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import pytest_asyncio

from relocd.adapters.templates.renderer import WorkerRenderer
from relocd.errors import Invalid
from relocd.model.template_set import FileSpec, TemplateSet
from relocd.ports.host import Rendered
from relocd.reconcile.health import PlannedText
from relocd.reconcile.spec import PlannedFile
from relocd.reconcile.template_context import TemplateAddress
from tests.lab.deadline import eventually
from tests.support.contexts import rendered, template_context

PATIENCE_S = 10.0
SECRET = "xyzzy-plugh"
ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
HUNGRY = "{{ ('x' * 50000000) ~ ('y' * 200000000) }}"

CONTEXT = template_context(
    server={"attributes": {"objectclass": ["top", "device"], "description": ["Rack 7"]}},
    service={
        "addresses": [{"ip": "192.0.2.10", "prefix": 24, "version": 4}],
        "attributes": {"mail": ["a@example.org", "b@example.org"]},
    },
    peers=[{"name": "node2"}],
    services=[{"name": "other", "secrets": {"key": SECRET}}],
    parameters={"port": "80", "items": "an item", "empty": ""},
    secrets={"key": SECRET},
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def renderer():
    """One for all tests: whatever a template does to its worker, the next one is rendered."""
    async with WorkerRenderer(PATIENCE_S) as renderer:
        yield renderer


@pytest.fixture
def render(renderer, tmp_path):
    """Render one text, beside the files that are already in the folder."""

    async def one(text: str, *, digest: str = "1"):
        (tmp_path / "a.j2").write_text(text)
        return await rendered(renderer, TemplateSet("web", tmp_path, digest), "a.j2", CONTEXT)

    return one


@pytest.fixture
def problem(render):
    """The message with which one text is refused."""

    async def message(text: str) -> str:
        with pytest.raises(Invalid) as caught:
            await render(text)
        return str(caught.value)

    return message


def pids(renderer: WorkerRenderer) -> list[int]:
    return [worker.pid for worker in renderer._alive]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def surroundings(pid: int) -> tuple[bytes, str]:
    """The environment and the limits of a process."""
    return Path(f"/proc/{pid}/environ").read_bytes(), Path(f"/proc/{pid}/limits").read_text()


def wait_for(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.asyncio(loop_scope="module")
class TestTemplates:
    @pytest.mark.parametrize(
        ("template", "text"),
        [
            pytest.param("{{ server.name }}/{{ service['name'] }}", "node1/web", id="values"),
            pytest.param("{{ service.addresses[0].ip }}", "192.0.2.10", id="addresses"),
            pytest.param("{% for peer in peers %}{{ peer.name }}{% endfor %}", "node2", id="peers"),
            pytest.param("{{ 'none' if cluster is none else cluster.name }}", "none", id="no cluster"),
            pytest.param("{{ parameters.port }}-{{ parameters.no | default('d') }}", "80-d", id="default"),
            pytest.param("{{ parameters.items }}", "an item", id="a parameter named like a method"),
            pytest.param("{{ parameters.values() | list | length }}", "3", id="a method"),
            pytest.param("{{ 'port' in parameters }}{{ 'x' in parameters }}", "TrueFalse", id="in"),
            pytest.param("{{ parameters }}", "{'port': '80', 'items': 'an item', 'empty': ''}", id="a whole mapping"),
            pytest.param(
                "{{ service.parameters | tojson }}{{ service.addresses[0] | tojson }}",
                '{"empty": "", "items": "an item", "port": "80"}{"ip": "192.0.2.10", "prefix": 24, "version": 4}',
                id="as JSON",
            ),
            pytest.param("{{ server.attributes.objectClass | join(',') }}", "top,device", id="attribute, camel case"),
            pytest.param("{{ server.attributes['DESCRIPTION'][0] }}", "Rack 7", id="attribute, upper case"),
            pytest.param("{{ 'Mail' in service.attributes }}", "True", id="attribute in"),
            pytest.param("{% if true %}\n  x\n  {% endif %}\ny\n", "  x\ny\n", id="blocks leave no lines"),
            pytest.param("<&>\n\n", "<&>\n\n", id="text as it is"),
            pytest.param("ä€😀", "ä€😀", id="not ASCII"),
            pytest.param("{% include 'b.j2' %}", "b of web", id="include"),
            pytest.param("{{ '8080' | must_match('[0-9]+') }}", "8080", id="must_match"),
            pytest.param("{{ lipsum is defined }}", "False", id="nothing random"),
        ],
    )
    async def test_a_template_is_rendered(self, render, tmp_path, template, text):
        (tmp_path / "b.j2").write_text("b of {{ service.name }}")
        found = await render(template)
        assert found.text == text
        assert not found.secret

    @pytest.mark.parametrize(
        ("template", "message"),
        [
            pytest.param("x\n{{ parameters.prot }}", "a.j2 line 2: parameters.prot is undefined", id="parameter"),
            pytest.param("{{ parameters.where }}", "parameters.where is undefined", id="a name of the worker's own"),
            pytest.param("{{ service.parameters['x y'] }}", "service.parameters.x y is undefined", id="nested"),
            pytest.param("{{ services[0].nam }}", "line 1: services[0].nam is undefined", id="in a list"),
            pytest.param("\n\n{{ sevice.name }}", "a.j2 line 3: 'sevice' is undefined", id="top name"),
            pytest.param("{{ cluster.name }}", "'None' has no attribute 'name'", id="of nothing"),
            pytest.param("{{ server.attributes.serialNumber }}", "server.attributes.serialNumber is", id="attribute"),
            pytest.param("{{ secrets.kee }}", "secrets.kee is undefined", id="secret that is not there"),
            pytest.param("\n{% if x %}", "a.j2 line 2: Unexpected end of template", id="syntax"),
            pytest.param("{{ 1 | nofilter }}", "a.j2 line 1: No filter named 'nofilter'", id="filter"),
            pytest.param("{% include 'no.j2' %}", "line 1: there is no template 'no.j2'", id="include of nothing"),
            pytest.param("{% include '../x.j2' %}", "there is no template '../x.j2'", id="include from elsewhere"),
            pytest.param("{% include '/etc/passwd' %}", "there is no template '/etc/passwd'", id="include of a path"),
            pytest.param("{% include 'b.j2' %}", "web: b.j2 line 2: 'nowhere' is undefined", id="error in an include"),
            pytest.param(
                "{{ ''.__class__ }}", "access to attribute '__class__' of 'str' object is unsafe", id="sandbox"
            ),
            pytest.param(
                "{{ parameters._values }}", "parameters._values is undefined", id="what the worker itself has"
            ),
            pytest.param("{{ peers.append(1) }}", "append", id="the context is not changed"),
            pytest.param("{{ fail('no peers') }}", "a.j2 line 1: no peers", id="fail"),
            pytest.param(
                "{{ parameters.port | must_match('[a-z]', 'port') }}", "port is '80', which does not match", id="match"
            ),
            pytest.param("{{ ('80' ~ '\n') | must_match('[0-9]+') }}", "does not match [0-9]+", id="the whole matches"),
            pytest.param("\n{{ 1 // 0 }}", "a.j2 line 2: ZeroDivisionError", id="any other error"),
            pytest.param("{{ range(999999) }}", "a.j2 line 1: OverflowError", id="a long range"),
            pytest.param("{{ [1] | random }}", "No filter named 'random'", id="nothing random"),
        ],
    )
    async def test_an_error_names_set_file_and_line(self, problem, tmp_path, template, message):
        (tmp_path / "b.j2").write_text("\n{{ nowhere }}")
        found = await problem(template)
        assert found.startswith("template set web: ")
        assert message in found
        assert str(tmp_path) not in found

    async def test_a_template_that_is_not_there(self, renderer, tmp_path):
        with pytest.raises(Invalid, match=r"template set web: there is no template 'no\.j2'"):
            await rendered(renderer, TemplateSet("web", tmp_path, "1"), "no.j2", CONTEXT)

    async def test_compiled_templates_are_kept_for_one_state_of_the_set(self, render):
        assert (await render("one", digest="1")).text == "one"
        assert (await render("two", digest="1")).text == "one"
        assert (await render("two", digest="2")).text == "two"


@pytest.mark.asyncio(loop_scope="module")
class TestSecrets:
    @pytest.mark.parametrize(
        "template",
        [
            "{{ secrets.key }}",
            "{{ secrets['key'] }}",
            "{{ secrets.get('key') }}",
            "{{ secrets }}",
            "{{ secrets | tojson }}",
            "{{ dict(secrets) }}",
            "{{ dict(**secrets) }}",
            "{{ secrets | items | list }}",
            "{{ secrets.values() | list }}",
            "{% for key in secrets %}{{ key }}{% endfor %}",
            "{{ secrets | dictsort }}",
            "{{ '%(key)s' % secrets }}",
            "{{ '{0[key]}'.format(secrets) }}",
            "{{ '{key}'.format(**secrets) }}",
            "{{ services[0].secrets.key }}",
            "{{ services }}",
            "{% if secrets.key is defined %}x{% endif %}",
            "{% set copy = secrets %}{{ copy.key | length }}",
            "{{ services | map(attribute='secrets.key') | list }}",
            "{{ secrets == {} }}",
        ],
    )
    async def test_a_template_that_looks_at_a_secret(self, render, template):
        assert (await render(template)).secret

    @pytest.mark.parametrize("template", ["x", "{{ secrets.no | default('') }}", "{{ services[0].name }}"])
    async def test_a_template_that_does_not(self, render, template):
        assert not (await render(template)).secret

    async def test_one_request_does_not_mark_the_next(self, render):
        assert (await render("{{ secrets.key }}", digest="1")).secret
        assert not (await render("x", digest="2")).secret

    @pytest.mark.parametrize(
        ("template", "kind"),
        [
            ("{{ parameters[secrets.key] }}", "UndefinedError"),
            ("{{ fail(secrets.key) }}", "RefusedError"),
            ("{{ secrets.key | must_match('x') }}", "RefusedError"),
            ("{% include secrets.key %}", "TemplateNotFound"),
            ("{{ secrets.key + 1 }}", "TypeError"),
            ("{{ secrets.key.nothing }}", "UndefinedError"),
            ("{{ {}[secrets.key].x }}", "UndefinedError"),
            ("{{ '%d' % secrets.key }}", "TypeError"),
        ],
    )
    async def test_no_error_tells_a_secret(self, problem, template, kind):
        found = await problem(f"\n{template}")
        assert found == f"template set web: a.j2 line 2: {kind}"


@pytest.mark.asyncio(loop_scope="module")
class TestProcess:
    async def test_an_endless_loop_is_stopped_and_the_next_template_rendered(self, tmp_path):
        (tmp_path / "a.j2").write_text(ENDLESS)
        (tmp_path / "b.j2").write_text("fine")
        template_set = TemplateSet("web", tmp_path, "1")
        async with WorkerRenderer(0.2) as renderer:
            (stuck,) = pids(renderer)
            with pytest.raises(
                Invalid, match=r"web: a\.j2 took longer than 0\.2 s and was stopped; look for an endless"
            ):
                await rendered(renderer, template_set, "a.j2", CONTEXT)
            assert not runs(stuck)
            assert (await rendered(renderer, template_set, "b.j2", CONTEXT)).text == "fine"

    async def test_of_files_with_one_context_only_the_bad_ones_are_refused(self, tmp_path):
        texts = {"a": "{{ service.name }}", "b": ENDLESS, "c": "{{ nothing }}", "d": "{{ parameters.port }}"}
        for name, text in texts.items():
            (tmp_path / f"{name}.j2").write_text(text)
        template_set = TemplateSet("web", tmp_path, "1")
        files = [PlannedFile(template_set, FileSpec(f"{name}.j2", f"/etc/{name}")) for name in texts]
        async with WorkerRenderer(0.5) as renderer:
            found = await renderer.render(files, CONTEXT)
        assert [each.text if isinstance(each, Rendered) else type(each) for each in found] == [
            "web",
            Invalid,
            Invalid,
            "80",
        ]

    async def test_texts_of_a_manifest_see_the_context_and_one_address(self, tmp_path):
        template_set = TemplateSet("web", tmp_path, "1")
        address = TemplateAddress("2001:db8::10", 64, 6)
        asked = ["http://{{ address.host }}:{{ parameters.port }}/", "{{ address.ip }}/{{ address.prefix }}"]
        asked += ["{{ nothing }}", "{{", "{{ secrets.key }}"]
        texts = [PlannedText(template_set, "[[health]] 1 http", text, address) for text in asked]
        async with WorkerRenderer(5) as renderer:
            *found, unknown, bad, secret = await renderer.render(texts, CONTEXT)
        assert [each.text for each in found] == ["http://[2001:db8::10]:80/", "2001:db8::10/64"]
        assert not any(each.secret for each in found)
        assert str(unknown) == "template set web: [[health]] 1 http: 'nothing' is undefined"
        assert str(bad).startswith("template set web: [[health]] 1 http: ")
        assert secret.secret

    async def test_a_hung_template_does_not_hold_up_another(self, tmp_path):
        (tmp_path / "a.j2").write_text(ENDLESS)
        (tmp_path / "b.j2").write_text("fine")
        template_set = TemplateSet("web", tmp_path, "1")
        async with WorkerRenderer(PATIENCE_S) as renderer:
            hung = asyncio.create_task(rendered(renderer, template_set, "a.j2", CONTEXT))
            found = await asyncio.gather(*(rendered(renderer, template_set, "b.j2", CONTEXT) for _ in range(20)))
            assert {each.text for each in found} == {"fine"}
            assert not hung.done()
            assert len(pids(renderer)) == 2
            hung.cancel()
            with pytest.raises(asyncio.CancelledError):
                await hung
            assert len(pids(renderer)) == 1

    async def test_when_all_workers_hang_the_others_are_rendered_after_them(self, tmp_path):
        (tmp_path / "a.j2").write_text(ENDLESS)
        (tmp_path / "b.j2").write_text("fine")
        template_set = TemplateSet("web", tmp_path, "1")
        async with WorkerRenderer(0.5) as renderer:
            hung = [asyncio.create_task(rendered(renderer, template_set, "a.j2", CONTEXT)) for _ in range(3)]
            await asyncio.wait(hung, timeout=0)
            assert (await rendered(renderer, template_set, "b.j2", CONTEXT)).text == "fine"
            outcomes = await asyncio.gather(*hung, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [Invalid] * 3
            assert len(pids(renderer)) <= 1

    async def test_a_second_worker_is_kept_while_there_is_work_and_ends_after_that(self, tmp_path, monkeypatch):
        monkeypatch.setattr("relocd.adapters.templates.renderer._SPARE_S", 0.3)
        (tmp_path / "slow.j2").write_text(
            "{% for i in range(99999) %}{% for j in range(100) %}{% endfor %}{% endfor %}"
        )
        template_set = TemplateSet("web", tmp_path, "1")
        async with WorkerRenderer(PATIENCE_S) as renderer:
            used = set[int]()
            for _ in range(2):
                await asyncio.gather(*(rendered(renderer, template_set, "slow.j2", CONTEXT) for _ in range(4)))
                used |= set(pids(renderer))
            assert len(used) == 2
            await eventually(lambda: len(pids(renderer)) == 1)

    async def test_waiting_for_the_processor_is_not_the_template_s_time(self, tmp_path):
        (tmp_path / "a.j2").write_text("fine")
        limit_s = 0.2
        async with WorkerRenderer(limit_s) as renderer:
            (pid,) = pids(renderer)
            os.kill(pid, signal.SIGSTOP)
            task = asyncio.create_task(rendered(renderer, TemplateSet("web", tmp_path, "1"), "a.j2", CONTEXT))
            done, _ = await asyncio.wait([task], timeout=2 * limit_s)
            os.kill(pid, signal.SIGCONT)
            assert not done
            assert (await task).text == "fine"
            assert pids(renderer) == [pid]

    async def test_a_template_that_wants_all_memory_is_refused(self, problem, render):
        assert await problem(HUNGRY) == "template set web: a.j2 line 1: MemoryError"
        assert (await render("fine", digest="2")).text == "fine"

    async def test_a_worker_that_was_killed_while_idle_is_replaced(self, renderer, render):
        (killed,) = pids(renderer)
        os.kill(killed, signal.SIGKILL)
        assert (await render("fine")).text == "fine"
        assert pids(renderer) != [killed]

    async def test_a_worker_that_is_killed_at_work_is_an_error_of_its_template(self, renderer, tmp_path):
        (tmp_path / "a.j2").write_text(ENDLESS)
        task = asyncio.create_task(rendered(renderer, TemplateSet("web", tmp_path, "1"), "a.j2", CONTEXT))
        async with asyncio.timeout(PATIENCE_S):
            while not task.done():
                for pid in pids(renderer):
                    os.kill(pid, signal.SIGKILL)
                await asyncio.wait([task], timeout=0.01)
        with pytest.raises(Invalid, match=r"a\.j2 ended the process that rendered it"):
            await task

    async def test_the_first_request_starts_a_worker_that_was_not_started(self, tmp_path):
        (tmp_path / "a.j2").write_text("fine")
        renderer = WorkerRenderer(PATIENCE_S)
        assert (await rendered(renderer, TemplateSet("web", tmp_path, "1"), "a.j2", CONTEXT)).text == "fine"
        (pid,) = pids(renderer)
        await renderer.close()
        assert not runs(pid)

    async def test_a_large_context_and_a_large_text(self, renderer, tmp_path):
        (tmp_path / "a.j2").write_text("{% for s in services %}{{ s.name }}\n{% endfor %}")
        services = [{"name": f"service-{number}" * 10} for number in range(5000)]
        context = template_context(services=services, service=None)
        found = await rendered(renderer, TemplateSet("web", tmp_path, "1"), "a.j2", context)
        assert found.text == "".join(f"{service['name']}\n" for service in services)

    async def test_the_worker_has_nothing_of_the_agents_surroundings(self, renderer):
        environment, limits = surroundings(*pids(renderer))
        assert environment == b""
        assert "Max address space         268435456" in limits
        assert "Max file size             0" in limits
        assert "Max core file size        0" in limits


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "in an endless loop"])
def test_no_worker_outlives_an_agent_that_was_killed(tmp_path, busy):
    (tmp_path / "a.j2").write_text(ENDLESS if busy else "fine")
    agent = f"""
        import asyncio
        from pathlib import Path
        from relocd.adapters.templates.renderer import WorkerRenderer
        from relocd.model.template_set import TemplateSet
        from tests.support.contexts import rendered, template_context

        async def main():
            async with WorkerRenderer(0.2) as renderer:
                print(*(worker.pid for worker in renderer._alive), flush=True)
                if {busy}:
                    web = TemplateSet("web", Path({str(tmp_path)!r}), "1")
                    task = rendered(renderer, web, "a.j2", template_context())
                    asyncio.get_running_loop().call_later(0.1, lambda: print("at work", flush=True))
                    await task
                await asyncio.sleep(60)

        asyncio.run(main())
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(agent)], stdout=subprocess.PIPE, text=True) as process:
        worker = int(process.stdout.readline())
        assert not busy or process.stdout.readline()
        assert runs(worker)
        process.kill()
    wait_for(lambda: not runs(worker))
