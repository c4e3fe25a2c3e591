"""Distinguished names: what is equal, what is refused, and that libldap reads them the same way."""

from __future__ import annotations

import ldap.dn
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from relocd.errors import Invalid
from relocd.model import dn as module
from relocd.model.dn import DN
from tests.support.strategies import rdns, spelled, written

BASE = "ou=relocd,dc=example,dc=org"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("cn=web,dc=org", "CN=Web,DC=ORG", id="case"),
        pytest.param("cn=web,dc=org", " cn = web , dc = org ", id="spaces around"),
        pytest.param("cn=a b,dc=org", "cn=a    b,dc=org", id="spaces inside"),
        pytest.param("cn=web,dc=org", "cn=\\77e\\62,dc=org", id="escaped in hexadecimal"),
        pytest.param("cn=a\\,b,dc=org", "cn=a\\2Cb,dc=org", id="two escapes of a comma"),
        pytest.param("cn=a\\,b,dc=org", 'cn="a,b",dc=org', id="quoted"),
        pytest.param("cn=web;dc=org", "cn=web,dc=org", id="semicolon"),
        pytest.param("cn=web+ou=x,dc=org", "ou=X+cn=WEB,dc=org", id="order within an RDN"),
        pytest.param("cn=Grün", "cn=gr\\C3\\BCn", id="UTF-8"),
        pytest.param("cn=Grün", "cn=GRU\u0308N", id="composed and decomposed"),
        pytest.param("2.5.4.3=web,0.9.2342.19200300.100.1.25=org", "cn=web,dc=org", id="attribute by number"),
        pytest.param("commonName=web,domainComponent=org", "cn=web,dc=org", id="attribute by its long name"),
        pytest.param("userid=anna", "uid=anna", id="userid"),
        pytest.param("cn=\\20web\\ ", "cn=web", id="spaces at the ends never count"),
        pytest.param("", "", id="the root"),
    ],
)
def test_spellings_of_one_name_are_equal(one, other):
    assert DN.parse(one) == DN.parse(other)
    assert hash(DN.parse(one)) == hash(DN.parse(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("cn=web,dc=org", "cn=web,dc=com", id="value"),
        pytest.param("cn=web,dc=org", "ou=web,dc=org", id="attribute"),
        pytest.param("cn=a\\,dc=org", "cn=a,dc=org", id="a comma in a value parts nothing"),
        pytest.param("cn=a\\+ou=b", "cn=a+ou=b", id="a plus in a value joins nothing"),
        pytest.param("cn=ab", "cn=a b", id="a space is a letter"),
        pytest.param("cn=Straße", "cn=Strasse", id="two entries to OpenLDAP"),
        pytest.param("cn=\u03c2", "cn=\u03c3", id="two letters to OpenLDAP"),
        pytest.param("cn=a,ou=b", "ou=b,cn=a", id="order of RDNs"),
        pytest.param('cn="a\\2cb"', "cn=a\\2cb", id="in quotes hexadecimal digits are no escape"),
    ],
)
def test_names_of_different_entries_differ(one, other):
    assert DN.parse(one) != DN.parse(other)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("web", id="no attribute"),
        pytest.param("=web", id="empty attribute"),
        pytest.param("c_n=web", id="attribute with an underscore"),
        pytest.param("cn=web,", id="comma at the end"),
        pytest.param("cn=web,,dc=org", id="two commas"),
        pytest.param("cn=web+", id="plus at the end"),
        pytest.param('cn=a"b', id="quote inside"),
        pytest.param('cn="ab', id="quote not closed"),
        pytest.param('cn="a"b', id="text behind the quote"),
        pytest.param("cn=a<b", id="angle bracket"),
        pytest.param("cn=web\\", id="backslash at the end"),
        pytest.param('cn="web\\', id="backslash at the end, in quotes"),
        pytest.param("cn=\\zz", id="backslash before a letter"),
        pytest.param("cn=\\ff", id="not UTF-8"),
    ],
)
def test_what_is_no_name_is_refused_with_the_text_and_the_place(text):
    with pytest.raises(Invalid, match=r"is not a distinguished name: .* at character \d+") as error:
        DN.parse(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"cn=web,ou=services,{BASE}", "web"),
        ("CN = Web Server , dc=org", "Web Server"),
        ("cn=a\\,b+ou=x,dc=org", "a,b"),
        ('cn="a, b",dc=org', "a, b"),
        ("", ""),
    ],
)
def test_the_name_is_the_first_value_as_written(text, name):
    assert DN.parse(text).name == name


@pytest.mark.parametrize(
    ("text", "base", "within"),
    [
        (BASE, BASE, True),
        (f"cn=web, {BASE.upper()}", BASE, True),
        (BASE, "", True),
        (BASE, f"cn=web,{BASE}", False),
        (f"xou=relocd,{BASE[10:]}", BASE, False),
        pytest.param("cn=a\\,dc=org", "dc=org", False, id="a comma in a value parts nothing"),
        pytest.param("cn=a\\\\,dc=org", "dc=org", True, id="a comma behind an escaped backslash does"),
    ],
)
def test_is_within(text, base, within):
    assert DN.parse(text).is_within(DN.parse(base)) is within


@pytest.mark.parametrize(
    ("text", "parent"),
    [
        pytest.param(f"cn=web,{BASE}", BASE, id="plain"),
        pytest.param("cn=web , dc=org", " dc=org", id="spaces around the comma"),
        pytest.param("cn=web;dc=org", "dc=org", id="semicolon"),
        pytest.param("cn=a\\,b,dc=org", "dc=org", id="an escaped comma"),
        pytest.param("cn=a\\2Cb,dc=org", "dc=org", id="a comma in hexadecimal"),
        pytest.param("cn=a\\\\,dc=org", "dc=org", id="an escaped backslash before the comma"),
        pytest.param('cn="a,b",dc=org', "dc=org", id="quoted"),
        pytest.param("cn=a+ou=b,dc=org", "dc=org", id="several values in the RDN"),
        pytest.param("cn=state,cn=a\\,b+ou=c,dc=org", "cn=a\\,b+ou=c,dc=org", id="what is above stays as written"),
        pytest.param("dc=org", "", id="the top"),
        pytest.param("", "", id="the root"),
        pytest.param("  ", "", id="the root in spaces"),
    ],
)
def test_the_parent_is_what_follows_the_first_rdn(text, parent):
    assert DN.parse(text).parent == DN.parse(parent)
    assert DN.parse(text).parent.text.strip() == parent.strip()


@pytest.mark.parametrize(
    ("text", "rdn", "child"),
    [
        pytest.param("cn=a\\,b,dc=org", "cn=state", "cn=state,cn=a\\,b,dc=org", id="above stays as written"),
        pytest.param("dc=org", "cn=a\\+b+ou=c", "cn=a\\+b+ou=c,dc=org", id="escapes and several values"),
        pytest.param("", "dc=org", "dc=org", id="below the root"),
        pytest.param(" ", "dc=org", "dc=org", id="below the root in spaces"),
    ],
)
def test_a_child_is_named_by_its_rdn_and_what_is_above(text, rdn, child):
    assert DN.parse(text).below(rdn).text == child


def test_what_is_no_rdn_names_no_child():
    with pytest.raises(Invalid, match="is not a distinguished name"):
        DN.parse("dc=org").below("state")


def test_no_value_in_a_key_looks_like_ber_or_like_several():
    assert DN.parse("cn=\\#a\\,b").key == "cn=\\23a\\2cb"


def test_the_text_is_kept_as_written():
    assert str(DN.parse("CN = Web , dc=org")) == "CN = Web , dc=org"


_UNCLEAR = "\\\\ "  # libldap takes the space behind an escaped backslash for an escaped one


@given(st.data(), rdns())
def test_libldap_reads_the_same_pairs(data, name):
    """Whatever spelling of ordinary values: the same attributes and values, in the same groups."""
    text = data.draw(written(name))
    assume(_UNCLEAR not in text)
    theirs = [[(kind, value) for kind, value, _ in rdn] for rdn in ldap.dn.str2dn(text)]
    assert [list(rdn) for rdn in module._parsed(text)] == theirs


_PIECES = [*'==,+"\\ a#<>é', "cn", "OU", "\\2c", "\\C3", "\\,", "b=", "cn=a", ",dc=b"]


@given(st.lists(st.sampled_from(_PIECES), max_size=8).map("".join))
@example('cn=""')
@example("cn= ,dc=b")
@example('b="\\2c"')
@example('b="\\C3\\BC"+c="\\a\\"\\\\"')
@example('b="\\é\\\n"')
@example('b="\\')
def test_libldap_and_we_accept_the_same_texts(text):
    """But for values in BER (`#04...`), which directories do not send for text, and a name of nothing but spaces."""
    assume("=#" not in text.replace(" ", "") and _UNCLEAR not in text)
    assume(text.strip() or not text)
    try:
        theirs = [[(kind, value) for kind, value, _ in rdn] for rdn in ldap.dn.str2dn(text)]
    except (ldap.DECODING_ERROR, UnicodeDecodeError):
        with pytest.raises(Invalid):
            DN.parse(text)
    else:
        assert [list(rdn) for rdn in module._parsed(text)] == theirs


@given(st.data(), rdns())
def test_any_spelling_is_equal(data, name):
    one, other = DN.parse(data.draw(spelled(name))), DN.parse(data.draw(spelled(name)))
    assert one == other
    assert one.is_within(DN.parse(data.draw(spelled(name[-1:]))))


@given(st.data(), rdns(), rdns())
def test_names_of_different_values_differ(data, name, other):
    def folded(rdns):
        return [frozenset((kind.lower(), " ".join(value.lower().split())) for kind, value in rdn) for rdn in rdns]

    assume(folded(name) != folded(other))
    assert DN.parse(data.draw(spelled(name))) != DN.parse(data.draw(spelled(other)))


@given(st.data(), rdns())
def test_the_key_is_itself_a_spelling_of_the_name(data, name):
    """So that an entry can be read by the key that is kept of it."""
    dn = DN.parse(data.draw(spelled(name)))
    assert DN.parse(dn.key) == dn
    assert DN.parse(dn.key).key == dn.key


@given(st.data(), rdns(), rdns(max_size=1))
def test_the_parent_of_a_child_is_itself(data, name, rdn):
    """Whatever the spelling, and without losing it: what is written to the directory is what was read there."""
    dn, written_rdn = DN.parse(data.draw(spelled(name))), data.draw(written(rdn))
    child = dn.below(written_rdn)
    assert (child.parent, child.parent.text) == (dn, dn.text)
    assert child.name == DN.parse(written_rdn).name
    assert child.is_within(dn)
    assert not dn.is_within(child)


@given(rdns().flatmap(written))
def test_a_name_is_sent_as_rfc_4514_writes_it_and_is_the_same(text):
    name = DN.parse(text)
    assert DN.parse(name.written) == name
    assert ldap.dn.is_dn(name.written)
    assert DN.parse(name.written).written == name.written


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("ou=relocd, dc=example , dc=org", "ou=relocd,dc=example,dc=org"),
        ('cn="a,b" , dc=org', "cn=a\\,b,dc=org"),
        ("cn=a\\0Ab,dc=org", "cn=a\\0Ab,dc=org"),
        ("CN=\\20a\\ ;DC=org", "CN=\\ a\\ ,DC=org"),
        ("", ""),
    ],
)
def test_how_a_name_is_sent(text, sent):
    assert DN.parse(text).written == sent


@pytest.mark.parametrize("text", ["cn=a\nb,dc=org", "cn=\x1b[31m", "cn=\u202ea", "cn=a\\0Ab,dc=org"])
def test_a_name_is_shown_on_one_line_and_is_still_the_same(text):
    name = DN.parse(text)
    assert str(name).isprintable()
    assert name.name.isprintable()
    assert DN.parse(str(name)) == name


def test_what_is_no_character_is_no_name():
    with pytest.raises(Invalid, match="not UTF-8"):
        DN.parse("cn=\udcff")


@pytest.mark.parametrize(
    ("contexts", "found"),
    [
        (["dc=org", "DC=example, dc=org", "dc=com"], "dc=example,dc=org"),
        (["ou=relocd,dc=example,dc=org", "dc=example,dc=org"], "ou=relocd,dc=example,dc=org"),
        (["dc=com", "example"], BASE),
        ([], BASE),
    ],
)
def test_the_naming_context_that_holds_a_name(contexts, found):
    assert DN.parse(BASE).context(contexts) == DN.parse(found)


@pytest.mark.parametrize(
    ("name", "former", "now", "expected"),
    [
        ("cn=web,ou=a,dc=x", "ou=a,dc=x", "ou=b,dc=x", "cn=web,ou=b,dc=x"),
        ("cn=state, CN=Web , OU=a,dc=x", "ou=a,dc=x", "ou=c,ou=b,dc=x", "cn=state, CN=Web,ou=c,ou=b,dc=x"),
        ("cn=a\\,b+uid=x,ou=a,dc=x", "ou=a,dc=x", "dc=y", "cn=a\\,b+uid=x,dc=y"),
    ],
)
def test_a_name_follows_the_one_above_it(name, former, now, expected):
    assert str(DN.parse(name).moved(former, DN.parse(now))) == expected
