"""`[[health]]` of manifests on a real disk: every key, the defaults, and what is refused, with its line."""

from __future__ import annotations

import pytest

from relocd.errors import Invalid
from relocd.model.health import CheckKind, HealthLimits, HealthSpec
from tests.adapters.templates.set_writing import MANIFEST, write_set

URL = "http://{{ address.host }}:{{ parameters.port | default('80') }}/"


def declared(sets, folder, *tables):
    write_set(folder / "a", MANIFEST + "".join(f"[[health]]\n{table}\n" for table in tables))
    return sets.get("a").health


def test_every_key(sets, folder):
    (found,) = declared(
        sets,
        folder,
        f'http = "{URL}"\nhost = "www.example.org"\nstatuses = "200-299, 404"\ninterval_s = 1\ntimeout_s = 0.5\n'
        "fall = 4\nrise = 5\nstart_s = 0\nrestarts = 0",
    )
    limits = HealthLimits(interval_s=1.0, timeout_s=0.5, fall=4, rise=5, start_s=0.0, restarts=0)
    assert found == HealthSpec(CheckKind.HTTP, (URL,), limits, "www.example.org", ((200, 299), (404, 404)))


@pytest.mark.parametrize("kind", [CheckKind.TCP, CheckKind.DNS, CheckKind.NTP])
def test_a_kind_with_one_text_has_the_defaults(sets, folder, kind):
    assert declared(sets, folder, f'{kind} = "192.0.2.1:53"') == (HealthSpec(kind, ("192.0.2.1:53",)),)


def test_a_command_is_an_argument_list_and_several_checks_keep_their_order(sets, folder):
    found = declared(sets, folder, 'command = ["test", "-e", "a b"]', "restarts = 3")
    assert found == (
        HealthSpec(CheckKind.COMMAND, ("test", "-e", "a b")),
        HealthSpec(CheckKind.UNITS, limits=HealthLimits(restarts=3)),
    )


@pytest.mark.parametrize(
    ("table", "line", "message"),
    [
        ('http = "http://x/"\ntcp = "x:1"', 7, "tcp is given beside http; keep one of them"),
        ('tcp = "x:1"\nhost = "a"', 7, "host belongs to http"),
        ('command = ["a"]\nstatuses = "200"', 7, "statuses belongs to http"),
        ('tcp = ""', 6, "tcp is empty"),
        (r'http = "a\nb"', 6, "http is empty or has more than one line"),
        ('tcp = ["x:1"]', 6, "tcp is ['x:1']; write a string in quotes"),
        ("command = []", 6, "command names no program"),
        ('command = "ls"', 6, "command is 'ls'; write a list, each item a string"),
        (r'command = ["a", "\u0000"]', 6, "command has a NUL"),
        ("interval_s = 0", 6, "interval_s is 0; write a number from 0.1 to 86400"),
        ("interval_s = nan", 6, "interval_s is nan"),
        ("timeout_s = 1e9", 6, "timeout_s is 1e+09; write a number from 0.01"),
        ("fall = 0", 6, "fall is 0; write a number from 1 to 1000"),
        ("fall = 1.5", 6, "fall is 1.5; write a whole number"),
        ("rise = -1", 6, "rise is -1"),
        ("start_s = -1", 6, "start_s is -1; write a number from 0"),
        (f"restarts = 1{'0' * 400}", 6, "restarts is"),
        ('http = "x"\nstatuses = "200-"', 7, "statuses is '200-'; write statuses from 100 to 599"),
        ('http = "x"\nstatuses = "300-200"', 7, "statuses is '300-200'"),
        ('udp = "x:1"', 6, "[[health]] 1: unknown key 'udp'; known are command, dns, fall"),
    ],
)
def test_wrong_values_are_refused_with_the_line(sets, folder, table, line, message):
    with pytest.raises(Invalid) as caught:
        declared(sets, folder, table)
    assert f"manifest.toml line {line}: " in str(caught.value)
    assert message in str(caught.value)


def test_a_set_of_scope_server_has_no_health_of_its_own(sets, folder):
    write_set(folder / "a", 'scope = "server"\n[[health]]\nrestarts = 1\n')
    with pytest.raises(Invalid, match=r'line 2: health is given, but a set of scope "server" has no service'):
        sets.get("a")
