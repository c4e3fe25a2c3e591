"""No template sees a value out of its bounds; what the service itself gives is looked at before all else."""

from __future__ import annotations

import pytest
import pytest_asyncio

from relocd.adapters.templates.renderer import WorkerRenderer
from relocd.errors import Invalid
from relocd.model.template_set import Declared, TemplateSet
from tests.support.contexts import rendered, template_context

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATIENCE_S = 10.0


PORT = Declared("port", "{port}", 5, "where it listens", default="80")
KEY = Declared("key", "[a-z]+", 9, "the key")
LINES = Declared("lines", "(?s).+", 9999, "a text", multiline=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def renderer():
    async with WorkerRenderer(PATIENCE_S) as renderer:
        yield renderer


@pytest.fixture
def bounded(renderer, tmp_path):
    """Render one text with parameters and secrets, in a set that declares those above."""

    async def one(text: str, **changed):
        (tmp_path / "a.j2").write_text(text)
        web = TemplateSet("web", tmp_path, text, parameters=(PORT, LINES), secrets=(KEY,))
        return (await rendered(renderer, web, "a.j2", template_context(**changed))).text

    return one


async def test_a_default_stands_for_what_is_not_given(bounded):
    text, given = "{{ parameters.port }} {{ service.parameters.port }}", {"port": "81"}
    assert await bounded(text) == "80 80"
    assert await bounded(text, parameters=given) == "81 81"


async def test_one_of_several_lines_has_to_be_declared(bounded):
    assert await bounded("{{ parameters.lines }}", parameters={"lines": "a\n\tb" * 1000}) == "a\n\tb" * 1000


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"parameters": {"port": "0"}}, id="declared"),
        pytest.param({"parameters": {"any": "a\nb"}}, id="a line break"),
        pytest.param({"parameters": {"any": "a" * 4097}}, id="too long"),
        pytest.param({"secrets": {"key": "S3CRET"}}, id="a secret"),
        pytest.param({"secrets": {"any": "S3CRET\n"}}, id="an undeclared secret"),
        pytest.param({"secrets": {"any": "S3CRET" * 1000}}, id="a long secret"),
    ],
)
async def test_what_the_service_gives_is_refused_though_nothing_uses_it(bounded, changed):
    with pytest.raises(Invalid) as refused:
        await bounded("nothing of it", **changed)
    ((kind, values),) = changed.items()
    assert f"{kind}.{next(iter(values))} " in str(refused.value)
    assert "S3CRET" not in str(refused.value)


async def test_all_that_is_wrong_is_named_at_once(bounded):
    with pytest.raises(Invalid) as refused:
        await bounded("", parameters={"port": "0", "any": "a\nb"}, secrets={"key": "0"})
    assert all(name in str(refused.value) for name in ("parameters.port", "parameters.any", "secrets.key"))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{{ server.name }}", "server.name"),
        ("{{ peers[0].name }}", r"peers\[0\]\.name"),
        ("{{ server.attributes.description }}", "server.attributes.description"),
        ("{{ server['attributes'] | tojson }}", "server.attributes.description"),
        ("{% for key, values in server.attributes.items() %}{{ values }}{% endfor %}", "server.attributes"),
        ("{{ services[0].parameters.port }}", r"services\[0\]\.parameters\.port"),
        ("{{ services | map(attribute='name') | join }}", r"services\[0\]\.name"),
        ("{{ services | map(attribute='secrets') | list }}", r"services\[0\]\.secrets\.key"),
    ],
)
async def test_all_else_is_refused_where_a_template_reads_it(bounded, text, where):
    bad = "a\nenable-tftp"
    changed = {
        "server": {"name": bad, "attributes": {"description": ["fine", bad]}},
        "peers": [{"name": bad}],
        "services": [{"name": bad, "parameters": {"port": bad}, "secrets": {"key": bad}}],
    }
    assert await bounded("{{ service.name }}", **changed) == "web"
    with pytest.raises(Invalid, match=rf"a\.j2 line 1: {where}\S* ") as refused:
        await bounded(text, **changed)
    assert "secrets" not in where or "tftp" not in str(refused.value)


async def test_in_a_set_of_the_whole_server_what_it_declares_is_looked_at_in_every_service(bounded):
    services = [
        {"name": "a", "parameters": {"port": "80", "any": "a\n"}},
        {"name": "b", "parameters": {"port": "x"}},
    ]
    with pytest.raises(Invalid, match=r"service 'b': parameters\.port is 'x'"):
        await bounded("", service=None, services=services)
    assert await bounded("", service=None, services=services[:1]) == ""


async def test_a_pattern_that_takes_for_ever_ends_with_the_limit_of_time(tmp_path):
    slow = Declared("a", "(x+x+)+y", 99, "slow")
    (tmp_path / "a.j2").write_text("")
    web = TemplateSet("web", tmp_path, "1", parameters=(slow,))
    async with WorkerRenderer(0.2) as renderer:
        with pytest.raises(Invalid, match="took longer than"):
            await rendered(renderer, web, "a.j2", template_context(parameters={"a": "x" * 99}))
