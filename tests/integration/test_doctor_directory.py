"""`relocd doctor` on real slapds: one where all is well, and one for each thing that may be wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import ldap
import pytest

from relocd.doctor.directory.acl_trials import Act
from relocd.doctor.directory.run import agent_access, examine
from relocd.doctor.finding import DoctorKind, Finding, Level
from relocd.model.dn import DN
from relocd.model.settings import DirectorySettings
from relocd.operator.access import Access
from relocd.schema.acl import FILES
from tests.integration.acl_lab import account_ldif, bound, everything, server_ldif
from tests.integration.orders_lab import READER, RULES, access, environment, password_file
from tests.lab.slapd.ldif import ABOVE, above_ldif, record, state_dn
from tests.lab.slapd.slapd import SCHEMA, SUFFIX, Slapd, base_ldif, server_dn, service_dn, service_ldif

RELOCD = str(Path(sys.executable).with_name("relocd"))
NODE1 = server_dn("node1")
BELOW = f'access to dn.subtree="{SUFFIX}"'
TROUBLE = {Level.WARNING, Level.ERROR}
DENIED, TOO_WIDE = DoctorKind.ACCESS_DENIED, DoctorKind.ACCESS_TOO_WIDE


def status_ldif(server: str) -> str:
    stamp = datetime.now(UTC).strftime("%Y%m%d%H%M%S.%fZ")
    return record(f"cn=status,{server_dn(server)}", {"objectClass": "relocServerStatus", "relocHeartbeat": stamp})


def content() -> str:
    """node1 is linked to web, node2 to mail; both services have a state and a secret."""
    services = [service_ldif(name, relocSecret=f"key={name}") for name in ("web", "mail")]
    states = [
        record(state_dn(name), {"objectClass": "relocServiceState", "relocHolder": server_dn(server)})
        for name, server in (("web", "node1"), ("mail", "node2"))
    ]
    servers = [server_ldif(server_dn(s), relocServiceLink=[name]) for s, name in (("node1", "web"), ("node2", "mail"))]
    return "".join([base_ldif(), account_ldif(READER), *services, *states, *servers])


@dataclass(kw_only=True, eq=False)
class Other(Slapd):
    """A slapd whose slapd.conf has other lines: those that begin with a key are replaced, or left out."""

    replaced: dict[str, str | None]

    def _lines(self) -> list[str]:
        lines = [self.replaced.get(next(filter(line.startswith, self.replaced), ""), line) for line in super()._lines()]
        return [line for line in lines if line is not None]


def findings(slapd: Slapd, folder: Path, *, who: str = NODE1, uri: str = "") -> list[Finding]:
    """All findings; the heartbeats are written just before, so that their age is that of the test."""
    password_file(folder)
    result = examine(access(folder, uri or slapd.ldapi_uri, who=who), DN.parse(NODE1))
    return [each for some in result.findings.values() for each in some]


def trouble(slapd: Slapd, folder: Path, **how: str) -> list[Finding]:
    return [each for each in findings(slapd, folder, **how) if each.level in TROUBLE]


def started(
    lines: list[str] = RULES, *, replaced: dict[str, str | None] | None = None, empty: bool = False, **more
) -> Slapd:
    return Other(
        content="" if empty else content(), database_lines=lines, durable=False, replaced=replaced or {}, **more
    )


def beating(slapd: Slapd) -> Slapd:
    slapd.add(status_ldif("node1") + status_ldif("node2"))
    return slapd


def test_a_healthy_directory_is_all_ok(tmp_path):
    with started() as slapd:
        found = findings(beating(slapd), tmp_path)
        assert {each.level for each in found} == {Level.OK}, found
        assert [each.check for each in found] == ["schema", "limits", "syncprov", "access", "clocks", "indexes"]


def test_looking_changes_nothing_not_even_the_change_number(tmp_path):
    with started() as slapd, bound(beating(slapd), "root") as root:
        before = everything(root, "*", "+")
        findings(slapd, tmp_path)
        findings(slapd, tmp_path, who=f"cn=admin,{SUFFIX}")
        assert everything(root, "*", "+") == before


def test_a_directory_without_the_schema_says_how_to_load_it(tmp_path):
    slapd = Other(content=base_ldif(), replaced={f"include {SCHEMA / 'relocd.schema'}": None}, durable=False)
    with slapd:
        found = trouble(slapd, tmp_path, who=f"cn=admin,{SUFFIX}")
        assert (found[0].kind, found[0].level) == (DoctorKind.SCHEMA_MISSING, Level.ERROR)
        assert "relocd schema --format ldif" in found[0].advice


def test_a_schema_of_another_version_is_named(tmp_path):
    old = tmp_path / "old.schema"
    text = (SCHEMA / "relocd.schema").read_text()
    head, _, tail = text.partition("NAME 'relocLease'")
    old.write_text(f"{head}NAME 'relocLease'{tail.replace(' SINGLE-VALUE', '', 1)}")
    with started(replaced={f"include {SCHEMA / 'relocd.schema'}": f"include {old}"}) as slapd:
        (found,) = trouble(beating(slapd), tmp_path)
        assert (found.kind, found.names) == (DoctorKind.SCHEMA_DIFFERS, ("relocLease",))


def test_a_suffix_without_syncprov_is_found(tmp_path):
    with started(replaced={"overlay syncprov": None, "syncprov-": None}) as slapd:
        (found,) = trouble(beating(slapd), tmp_path)
        assert (found.kind, found.level) == (DoctorKind.NO_SYNCPROV, Level.ERROR)


def test_a_base_below_the_suffix_is_judged_by_the_change_numbers_of_its_database(tmp_path):
    readable = [*RULES, "access to * by * read"]
    with Other(content=above_ldif() + content(), suffix=ABOVE, database_lines=readable, replaced={}) as slapd:
        found = findings(beating(slapd), tmp_path)
    assert [each.level for each in found if each.check == "syncprov"] == [Level.OK], found


def test_who_is_shown_nothing_is_not_told_to_repair_what_he_cannot_see(tmp_path):
    with started() as slapd:
        result = examine(Access((beating(slapd).uri,), SUFFIX), None)
        (found,) = (each for each in result.findings[slapd.uri] if each.level in TROUBLE)
        assert found.kind is DoctorKind.NO_ENTRIES
        assert "--bind-dn" in found.what


def test_a_missing_session_log_is_found(tmp_path):
    with started(session_log=0) as slapd:
        (found,) = trouble(beating(slapd), tmp_path)
        assert (found.kind, found.level) == (DoctorKind.NO_SESSION_LOG, Level.WARNING)
        assert "olcSpSessionlog" in found.advice


@pytest.mark.parametrize(
    ("rule", "kind", "act", "service"),
    [
        (f'{BELOW} attrs=relocHeartbeat by dn.children="{SUFFIX}" read by * break', DENIED, Act.WRITE_STATUS, ""),
        (f"{BELOW} attrs=relocServiceLink by self write by * break", TOO_WIDE, Act.ADD_OWN_LINK, ""),
        (f"{BELOW} attrs=relocServiceLink by self read by * break", DENIED, Act.DELETE_OWN_LINK, ""),
        (
            f'{BELOW} attrs=relocParameter by dn.children="{SUFFIX}" write by * break',
            TOO_WIDE,
            Act.CHANGE_SERVICE,
            "mail",
        ),
        (f"{BELOW} attrs=relocSecret by users read by * none", TOO_WIDE, Act.READ_OTHER_SECRETS, "mail"),
        (f"{BELOW} attrs=relocSecret by * none", DENIED, Act.READ_SECRETS, "web"),
        (f"{BELOW} attrs=userPassword by self read by anonymous auth", TOO_WIDE, Act.READ_PASSWORDS, ""),
        (f"{BELOW} attrs=relocCandidate by users read", DENIED, Act.WRITE_STATE, "web"),
    ],
    ids=["status", "add link", "keep link", "parameter", "secrets", "own secrets", "password", "state"],
)
def test_a_wrong_access_rule_is_exactly_one_finding(tmp_path, rule, kind, act, service):
    with started([rule, *RULES]) as slapd:
        (found,) = trouble(beating(slapd), tmp_path)
        assert (found.kind, found.level) == (kind, Level.ERROR)
        assert (found.names, found.service) == ((act,), service)
        assert "relocd schema --acl" in found.advice


def test_a_directory_that_is_open_to_all_says_so(tmp_path):
    with started(["add_content_acl on"]) as slapd:
        assert DoctorKind.SECRETS_OPEN in {each.kind for each in trouble(beating(slapd), tmp_path)}


def test_a_size_limit_that_is_too_small_is_found(tmp_path):
    rules = tmp_path / "rules.conf"
    lines = (SCHEMA / FILES["schema"]).read_text().splitlines()
    rules.write_text("\n".join(line for line in lines if not line.startswith("limits ")) + "\n")
    with started(["sizelimit 3", f"include {rules}"]) as slapd:
        (found,) = trouble(beating(slapd), tmp_path)
        assert (found.kind, found.level) == (DoctorKind.LIMIT_TOO_LOW, Level.ERROR)
        assert "size=unlimited" in found.advice


def test_a_missing_index_is_found(tmp_path):
    with started(replaced={"index ": "index objectClass eq"}) as slapd:
        (found,) = trouble(beating(slapd), tmp_path)
        assert (found.kind, found.names) == (DoctorKind.NOT_INDEXED, ("entryUUID", "entryCSN"))


def test_a_session_log_that_is_empty_after_a_start_is_known_by_the_configuration_only(tmp_path):
    with started() as slapd:
        beating(slapd).stop()
        slapd.start()
        assert trouble(slapd, tmp_path) == []
        assert [each.kind for each in trouble(slapd, tmp_path, uri=slapd.uri)] == [DoctorKind.NO_SESSION_LOG]


def test_a_read_only_copy_is_found(tmp_path):
    """It refers every write elsewhere before it looks at any rule, so nothing is said of rights."""
    source = f'provider=ldap://127.0.0.1:9 searchbase="{SUFFIX}" bindmethod=simple retry="60 +"'
    copy = [f"syncrepl rid=1 {source}", "updateref ldap://127.0.0.1:9"]
    with started(replaced={"overlay syncprov": "\n".join([*copy, "overlay syncprov"])}, empty=True) as slapd:
        slapd.stop()
        (tmp_path / "all.ldif").write_text(content() + status_ldif("node1"))
        slapd.slapadd(tmp_path / "all.ldif")
        slapd.start()
        found = findings(slapd, tmp_path)
        errors = [each.kind for each in found if each.level is Level.ERROR]
        assert errors == [DoctorKind.READ_ONLY_COPY, DoctorKind.PEER_FAILS]
        unclear = [each for each in found if each.level is Level.NOT_CHECKED]
        assert {each.kind for each in unclear} == {DoctorKind.ACCESS_UNCLEAR}
        assert all("referral" in each.what for each in unclear)


@pytest.mark.filterwarnings("ignore:ssl.match_hostname")  # what ldap3 2.9.1 calls
def test_an_identity_by_certificate_is_that_of_the_agent(tmp_path):
    with started(tls=True) as slapd:
        certificates = beating(slapd).certificates
        assert certificates
        certificate, key = map(str, certificates.client)
        own = DirectorySettings(
            (slapd.ldaps_uri,), SUFFIX, "external", ca_file=str(certificates.ca), cert_file=certificate, key_file=key
        )
        (found,) = examine(agent_access(own), DN.parse(NODE1)).findings.values()
        assert [each.level for each in found if each.check == "access"] == [Level.OK]


def test_a_clock_that_is_wrong_is_found(tmp_path):
    with started() as slapd:
        change = (
            f"dn: cn=status,{NODE1}\nchangetype: modify\nreplace: relocHeartbeat\nrelocHeartbeat: 20200101000000Z\n"
        )
        beating(slapd).modify(change)
        (found,) = trouble(slapd, tmp_path)
        assert (found.kind, found.level, found.server) == (DoctorKind.CLOCKS_DIFFER, Level.ERROR, "node1")
        assert found.seconds > 86400


def test_an_administrator_is_not_what_an_agent_should_be(tmp_path):
    with started() as slapd:
        (found,) = trouble(beating(slapd), tmp_path, who=f"cn=admin,{SUFFIX}")
        assert (found.kind, found.level) == (DoctorKind.OTHER_IDENTITY, Level.WARNING)


def test_a_trial_that_says_nothing_is_not_taken_for_a_refusal(tmp_path):
    """A heartbeat of an agent that has not run yet cannot be tried, and cn=config is read by its owner only."""
    with started() as slapd:
        found = findings(slapd, tmp_path, uri=slapd.uri)
        unknown = {each.kind for each in found if each.level is Level.NOT_CHECKED}
        assert unknown == {DoctorKind.NO_STATUS_YET, DoctorKind.NO_HEARTBEAT, DoctorKind.CONFIG_UNREADABLE}
        assert not any(each.level in TROUBLE for each in found)


def test_what_slapd_answers_before_it_looks_at_the_rules(tmp_path):
    """Why the trials are made as they are: an assertion answers the same to who may and to who may not."""
    never = ldap.controls.RequestControl("1.3.6.1.1.12", True, bytes.fromhex("a20d870b") + b"objectClass")
    no_op = ldap.controls.RequestControl("1.3.6.1.4.1.4203.1.10.2", True, None)
    link = [(ldap.MOD_ADD, "relocServiceLink", [service_dn("mail").encode()])]
    with started() as slapd, bound(slapd, NODE1) as node, bound(slapd, "root") as root:
        for who in (node, root):
            with pytest.raises(ldap.ASSERTION_FAILED):
                who.modify_ext_s(NODE1, link, serverctrls=[never])
            with pytest.raises(ldap.UNAVAILABLE_CRITICAL_EXTENSION):
                who.modify_ext_s(NODE1, link, serverctrls=[no_op])


def relocd(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    own = os.environ | variables
    return subprocess.run(
        [RELOCD, "doctor", *options], env=own, capture_output=True, text=True, timeout=60, check=False
    )


class TestCommand:
    def test_says_what_to_do_and_exits_with_1(self, tmp_path):
        password_file(tmp_path)
        with started(session_log=0) as slapd:
            own = environment(access(tmp_path, beating(slapd).uri, who=NODE1))
            done = relocd("--directory", **own)
            assert done.returncode == 1, done.stderr
            assert "→ set olcSpSessionlog" in done.stdout
            told = json.loads(relocd("--directory", "--json", **own).stdout)
            assert not told["well"]
            assert [each["kind"] for each in told["findings"] if each["level"] == "warning"] == ["no-session-log"]

    def test_exits_with_0_when_all_is_well_and_with_3_when_nobody_answers(self, tmp_path):
        password_file(tmp_path)
        with started() as slapd:
            own = environment(access(tmp_path, beating(slapd).uri, who=NODE1))
            assert relocd("--directory", **own).returncode == 0
            slapd.stop()
            done = relocd("--directory", **own)
            assert done.returncode == 3
            told = json.loads(relocd("--directory", "--json", **own).stdout)
            assert [(each["kind"], each["names"]) for each in told["findings"]] == [("no-answer", [slapd.uri])]

    def test_a_password_in_plain_text_is_a_warning_whether_or_not_somebody_answers(self, tmp_path):
        password_file(tmp_path)
        own = environment(access(tmp_path, "ldap://nobody.invalid", who=NODE1))
        told = json.loads(relocd("--directory", "--json", **own).stdout)
        assert [(each["kind"], each["level"]) for each in told["findings"]] == [
            ("plain-text-password", "warning"),
            ("no-answer", "error"),
        ]

    def test_half_a_directory_asks_for_the_other_half(self, tmp_path):
        done = relocd(
            "--directory", "--config", str(tmp_path / "none"), RELOCD_URI="ldap://127.0.0.1:9", RELOCD_BASE=""
        )
        assert "→ name it by --base " in done.stdout
