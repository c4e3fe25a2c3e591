"""The files of access rules are what their source says, both forms say the same, and names get there as they are."""

import re
from pathlib import Path

import pytest

from relocd.errors import Invalid
from relocd.schema import acl, definitions
from relocd.schema.acl import Roles

ROOT = Path(__file__).resolve().parents[3]
OWN = Roles("o=own", administrators="cn=boss,o=own", triggers="cn=alarm,o=own", database="olcDatabase={3}mdb,cn=config")


def directives(form: definitions.Form, keyword: str, roles: Roles = acl.EXAMPLE) -> list[str]:
    """Every directive or value of a keyword as one line with single spaces, in order and without its number."""
    lines = [line for line in acl.text(form, roles).splitlines() if not line.startswith("#")]
    joined = re.sub(r"\n +", " ", "\n".join(lines))
    return re.findall(rf"^{keyword}:? (?:\{{\d+\}})?(.*)$", joined, re.MULTILINE)


@pytest.mark.parametrize("form", definitions.FORMS)
def test_the_shipped_file_is_what_the_source_generates(form):
    assert (ROOT / "schema" / acl.FILES[form]).read_text() == acl.text(form), "run ./dev schema"


def test_writing_makes_both_files(tmp_path):
    acl.write(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "relocd-acl.conf": acl.text("schema"),
        "relocd-acl.ldif": acl.text("ldif"),
    }


@pytest.mark.parametrize(("conf", "config"), [("access", "olcAccess"), ("limits", "olcLimits")])
def test_both_forms_say_the_same(conf, config):
    assert directives("schema", conf) == directives("ldif", config) != []


def test_rules_name_only_known_attributes_and_classes():
    known = {each.name for each in (*definitions.ATTRIBUTES, *definitions.CLASSES)}
    assert set(re.findall(r"reloc[A-Z]\w+", "".join(directives("schema", "access")))) <= known


@pytest.mark.parametrize("form", definitions.FORMS)
def test_nothing_of_the_example_is_left(form):
    rules = acl.text(form, OWN)
    assert "example" not in rules
    assert {"o=own", "cn=boss,o=own", "cn=alarm,o=own"} == set(re.findall(r'"((?:cn=\w+,)?o=own)"', rules))


def test_the_database_is_named_in_cn_config():
    assert "\ndn: olcDatabase={3}mdb,cn=config\n" in acl.text("ldif", OWN)


def test_without_triggers_nobody_adds_links():
    rules = directives("schema", "access", Roles("o=own", administrators="cn=boss,o=own"))
    assert not [rule for rule in rules if "relocServiceLink" in rule.partition(" by ")[0] and " write" in rule]
    assert len(rules) == len(directives("schema", "access")) - 1


@pytest.mark.parametrize(
    ("suffix", "conf", "ldif"),
    [
        ("ou=a b", '"ou=a b"', '"ou=a b"'),
        (r"ou=a\,b", r'"ou=a\\2Cb"', r'"ou=a\2Cb"'),
        (r"ou=a\2cb", r'"ou=a\\2cb"', r'"ou=a\2cb"'),
        (r"ou=a\"b", r'"ou=a\\22b"', r'"ou=a\22b"'),
        (r"ou=a\\2c", r'"ou=a\\5C2c"', r'"ou=a\5C2c"'),
        ("ou=ü€", r'"ou=\\C3\\BC\\E2\\82\\AC"', r'"ou=\C3\BC\E2\82\AC"'),
    ],
)
def test_special_characters_are_written_in_hexadecimal(suffix, conf, ldif):
    """slapd.conf reads a backslash as an escape, cn=config as itself."""
    roles = Roles(suffix, administrators="cn=x")
    assert f"to dn.subtree={conf} attrs=relocSecret" in acl.text("schema", roles)
    assert f"to dn.subtree={ldif} attrs=relocSecret" in acl.text("ldif", roles)
    assert acl.text("ldif", roles).isascii()


@pytest.mark.parametrize("role", ["suffix", "administrators", "triggers", "database"])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("relocd", "not a distinguished name"),
        ("o=a\naccess to * by * write", "one line"),
        ('o="a, b"', "in quotes"),
    ],
)
def test_what_is_no_name_is_refused(role, name, why):
    with pytest.raises(Invalid, match=why):
        Roles(**{"suffix": "o=own", "administrators": "cn=boss,o=own"} | {role: name})


@pytest.mark.parametrize("role", ["suffix", "administrators", "database"])
def test_a_name_that_is_needed_is_asked_for(role):
    with pytest.raises(Invalid, match=f"as {role}"):
        Roles(**{"suffix": "o=own", "administrators": "cn=boss,o=own"} | {role: " "})
