"""The configuration file: every documented error names file, line and key, and says what to write."""

from __future__ import annotations

from dataclasses import fields

import pytest

from relocd.config.configuration import read_settings
from relocd.errors import Fatal
from relocd.model.settings import AgentSettings, ScriptUnit, ServerCheck, WireSettings

SMALLEST = """\
[server]
dn = "cn=me,ou=relocd,dc=example,dc=org"
[directory]
uris = ["ldap://ldap1.example.org", "ldapi:///"]
base = "ou=relocd,dc=example,dc=org"
"""


@pytest.fixture
def read(tmp_path):
    """Settings from a text."""

    def reading(text):
        path = tmp_path / "relocd.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_settings(path)

    return reading


def test_names_are_kept_as_a_directory_is_sent_them(read):
    settings = read(SMALLEST.replace(",dc=", " , dc=") + "bind_dn = 'cn=\"a, b\", dc=org'\n")
    assert (settings.server.dn, settings.directory.base) == (
        "cn=me,ou=relocd,dc=example,dc=org",
        "ou=relocd,dc=example,dc=org",
    )
    assert settings.directory.bind_dn == "cn=a\\, b,dc=org"


def test_the_smallest_file_leaves_everything_else_at_its_default(read):
    settings = read(SMALLEST)
    assert settings.server.dn == "cn=me,ou=relocd,dc=example,dc=org"
    assert settings.directory.uris == ("ldap://ldap1.example.org", "ldapi:///")
    assert settings.directory.bind == "anonymous"
    assert (settings.guards.networks, settings.guards.units, settings.guards.folders) == ((), (), ())
    assert settings.wire == WireSettings()
    assert settings.agent == AgentSettings()


def test_every_numeric_setting_has_a_range(read):
    settings = read(SMALLEST)
    tables = [(table.name, getattr(settings, table.name)) for table in fields(settings) if table.name != "health"]
    values = [(name, key.name, getattr(table, key.name)) for name, table in tables for key in fields(table)]
    numeric = [(table, key) for table, key, value in values if type(value) in {int, float}]
    assert {table for table, _ in numeric} >= {"directory", "wire", "units", "handover", "agent"}
    for table, key in numeric:
        text = SMALLEST if table == "directory" else f"{SMALLEST}[{table}]\n"
        with pytest.raises(Fatal, match=rf"{key}.*from \S+ to \S+"):
            read(f"{text}{key} = -1\n")


def test_every_table(read):
    settings = read(
        SMALLEST.replace("[directory]", 'template_sets = ["motd"]\n[directory]')
        + """\
        bind = "simple"
        bind_dn = "cn=agent,dc=example,dc=org"
        password_file = "/etc/relocd/password"
        [guards]
        networks = ["192.0.2.0/24", "2001:db8::/32"]
        units = ["nginx*"]
        folders = ["/etc/nginx"]
        [paths]
        state = "/srv/state"
        [wire]
        probes = 0
        [units]
        manager = "script"
        [units.script.web]
        start = ["/bin/start"]
        stop = ["/bin/stop"]
        status = ["/bin/status", "-q"]
        [agent]
        settle_ms = 0
        log_level = "debug"
        """
    )
    assert settings.server.template_sets == ("motd",)
    assert settings.directory.bind_dn == "cn=agent,dc=example,dc=org"
    assert settings.guards.networks == ("192.0.2.0/24", "2001:db8::/32")
    assert settings.paths.state == "/srv/state"
    assert settings.wire.probes == 0
    assert settings.units.script["web"] == ScriptUnit(("/bin/start",), ("/bin/stop",), ("/bin/status", "-q"))
    assert settings.agent == AgentSettings(settle_ms=0, log_level="debug")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        pytest.param(SMALLEST + "[agnet]\n", 6, "unknown key 'agnet'; known are", id="unknown table"),
        pytest.param(SMALLEST + "[agent]\nsetle_ms = 1\n", 7, "unknown key 'setle_ms'", id="unknown key"),
        pytest.param(SMALLEST.replace("dn =", "name ="), 2, "unknown key 'name'", id="misspelt key"),
        pytest.param(SMALLEST.partition("[directory]")[0], 1, "'directory' is missing", id="missing table"),
        pytest.param(SMALLEST.rpartition("base")[0], 3, "'base' is missing", id="missing key"),
        pytest.param(SMALLEST + "[agent\n", 6, "this is not TOML", id="not TOML"),
        pytest.param(SMALLEST + '[agent]\nsettle_ms = "x"\n', 7, "[agent] settle_ms is 'x'; write a number", id="type"),
        pytest.param(SMALLEST + '[agent]\nlog_level = "loud"\n', 7, 'write one of "debug"', id="word"),
        pytest.param(
            SMALLEST + '[agent]\nlog_format = "xml"\n',
            7,
            """[agent] log_format is 'xml'; write one of "auto", "text", "json", "journal\"""",
            id="another word",
        ),
        pytest.param(
            SMALLEST + "[agent]\nsettle_ms = -1\n", 7, "[agent] settle_ms is -1; write a number from 0", id="negative"
        ),
        *(
            pytest.param(f'{SMALLEST}[metrics]\nlisten = "{text}"\n', 7, "[metrics] listen must be HOST:PORT", id=text)
            for text in ("9815", ":9815", "host:", "host:99999", "::1:9815")
        ),
        pytest.param(
            SMALLEST + "[wire]\nprobes = -1\n", 7, "[wire] probes is -1; write a number from 0", id="negative count"
        ),
        pytest.param(
            SMALLEST + "[agent]\nretry_min_s = 0\n",
            7,
            "[agent] retry_min_s is 0; write a number from 0.001",
            id="no pause",
        ),
        pytest.param(
            SMALLEST + "operation_timeout_s = 0\n",
            6,
            "operation_timeout_s is 0; write a number from 0.001",
            id="no time",
        ),
        pytest.param(SMALLEST.replace("cn=me,", "me,"), 2, "[server] dn cannot be used: 'me,", id="dn"),
        pytest.param(SMALLEST.replace('"ou=relocd', '"relocd'), 5, "[directory] base cannot be used", id="base"),
        pytest.param(SMALLEST.replace("me,ou=relocd", "me,ou=x"), 2, "[server] dn is not below", id="dn elsewhere"),
        pytest.param(SMALLEST.replace('"ldap://ldap1.example.org", "ldapi:///"', ""), 4, "uris is empty", id="no uri"),
        pytest.param(SMALLEST.replace("ldap://", "http://"), 4, "does not begin with ldap://", id="scheme"),
        pytest.param(SMALLEST + 'bind = "simple"\n', 6, "needs bind_dn and password_file", id="simple bind alone"),
        pytest.param(SMALLEST + 'bind = "magic"\n', 6, 'write one of "anonymous"', id="bind"),
        pytest.param(SMALLEST + 'bind_dn = "admin"\n', 6, "bind_dn cannot be used", id="identity"),
        pytest.param(SMALLEST.replace("ldap1.example.org", "2001:db8::3:389"), 4, "in brackets", id="address"),
        pytest.param(SMALLEST.replace("ldapi:///", "ldap://a:ldap"), 4, "'ldap' is not a port", id="port"),
        pytest.param(SMALLEST + 'cert_file = "/c"\n', 6, "cert_file and key_file belong together", id="no key"),
        pytest.param(SMALLEST + 'key_file = "/k"\n', 3, "cert_file and key_file belong together", id="no certificate"),
        pytest.param(
            SMALLEST + '[guards]\nfolders = ["/etc"]\nnetworks = ["192.0.2.1/24"]\n',
            8,
            "[guards] networks cannot be used: 192.0.2.1/24 has host bits set",
            id="guarded network",
        ),
        pytest.param(
            SMALLEST + '[guards]\nfolders = ["etc"]\n',
            7,
            "[guards] folders cannot be used: etc is not",
            id="guarded folder",
        ),
        *(
            pytest.param(f"{SMALLEST}[{table}]\n{key} = {value}\n", 7, f"[{table}] {key} is ", id=f"{key} {value}")
            for table, key in (
                ("agent", "spare_mib"),
                ("agent", "render_timeout_s"),
                ("handover", "settle_ms"),
                ("handover", "lease_s"),
                ("units", "poll_s"),
                ("wire", "announce_refresh_s"),
                ("wire", "probe_interval_ms"),
            )
            for value in ("nan", "inf", "-1e-9", "1e300")
        ),
        pytest.param(SMALLEST + "operation_timeout_s = nan\n", 6, "[directory] operation_timeout_s is nan", id="nan"),
        pytest.param(SMALLEST + "[wire]\nprobes = 1000000000\n", 7, "[wire] probes is 1e+09; write", id="many probes"),
        pytest.param(SMALLEST + '[paths]\nrun = "run"\n', 7, "[paths] run has 'run'; write an absolute", id="relative"),
        pytest.param(SMALLEST + '[paths]\nstate = "/a\\u0000b"\n', 7, "[paths] state has '/a\\x00b'", id="NUL"),
        pytest.param(
            f'{SMALLEST}[notify]\nwebhook = "ftp://alerts.example.org/"\n',
            7,
            "[notify] webhook must be a URL",
            id="no web",
        ),
        pytest.param(
            f'{SMALLEST}[notify]\nwebhook = "https:///hook"\n', 7, "[notify] webhook must be a URL", id="no web server"
        ),
        pytest.param(
            f'{SMALLEST}[notify]\nwebhook = "https://a/b c"\n',
            7,
            "[notify] webhook must be a URL",
            id="a space in a URL",
        ),
        pytest.param(
            f'{SMALLEST}[notify]\nwebhook = "https://a:99999/"\n', 7, "[notify] webhook must be a URL", id="no port"
        ),
        pytest.param(
            f'{SMALLEST}[notify]\ncommand = ["mail"]\n', 7, "[notify] command begins with 'mail'", id="a bare name"
        ),
        pytest.param(
            f'{SMALLEST}[notify]\nevents = ["dance"]\n', 7, 'write a list, each item one of "holder"', id="no event"
        ),
        pytest.param(
            f'{SMALLEST}[notify]\nca_file = "ca.crt"\n', 7, "write an absolute path", id="a relative authority"
        ),
        pytest.param(
            f'{SMALLEST}[metrics]\nlisten = "localhost:{"9" * 5000}"\n',
            7,
            "must be HOST:PORT",
            id="a port of 5,000 digits",
        ),
        pytest.param(
            f'{SMALLEST}[metrics]\nlisten = "{"x" * 64}:1"\n', 7, "must be HOST:PORT", id="a host that no name can be"
        ),
        pytest.param(
            SMALLEST + '[units.script.web]\nstart = []\nstop = ["a"]\n',
            7,
            "[units.script.web] start names no program",
            id="no program",
        ),
        pytest.param(SMALLEST + '[units.script.web]\nstart = ["a"]\n', 6, "'stop' is missing", id="script unit"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(read, tmp_path, text, line, said):
    with pytest.raises(Fatal) as error:
        read(text)
    assert str(error.value).startswith(f"{tmp_path / 'relocd.toml'} line {line}: ")
    assert said in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(Fatal, match=r"cannot be read \(No such file or directory\); name another with --config"):
        read_settings(tmp_path / "relocd.toml")


def test_a_file_that_is_no_text(read):
    with pytest.raises(Fatal, match="is not UTF-8 text"):
        read(b"\xff")


def test_a_name_in_another_spelling_is_below_the_base(read):
    assert read(SMALLEST.replace("cn=me,ou=relocd", "CN = Me , OU=Relocd"))


class TestHealth:
    def test_checks_of_the_server(self, read):
        tables = ('interface = "eth0"\nfall = 1', 'ping = "192.0.2.1"', 'command = ["a", "b"]')
        found = read(SMALLEST + "".join(f"[[health]]\n{table}\n" for table in tables)).health
        assert found == (
            ServerCheck(interface="eth0", fall=1),
            ServerCheck(ping="192.0.2.1"),
            ServerCheck(command=("a", "b")),
        )

    @pytest.mark.parametrize(
        ("table", "line", "message"),
        [
            ("fall = 2", 6, "interface is not given, nor ping or command; write one of the three"),
            ('interface = "eth0"\nping = "192.0.2.1"', 8, "ping is given beside interface"),
            ('ping = "gateway"', 7, "ping is 'gateway'; write an IP address"),
            ('command = [""]', 7, "command names no program"),
            ('interface = "eth0"\ninterval_s = 0', 8, "interval_s is 0; write a number from 0.1"),
            ('interface = "eth0"\nrise = 0', 8, "rise is 0; write a number from 1"),
            ('interface = "eth0"\nstart_s = nan', 8, "start_s is nan"),
            ('interface = "a\\u0000"', 7, "interface has a NUL"),
            ('interface = "eth0"\nrestarts = 1', 8, "unknown key 'restarts'"),
        ],
    )
    def test_wrong_ones_are_refused_with_the_line(self, read, table, line, message):
        with pytest.raises(Fatal) as caught:
            read(f"{SMALLEST}[[health]]\n{table}\n")
        assert f"line {line}: [[health]] 1" in str(caught.value)
        assert message in str(caught.value)
