"""Cookies are merged by provider, compared by provider, and refused when they are not understood."""

from contextlib import suppress
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.errors import Invalid
from relocd.sync.session import SyncCookie

A1 = "20260101120000.000001Z#000000#001#000000"
A2 = "20260101120000.000002Z#000000#001#000000"
A3 = "20260101120000.000002Z#000001#001#000000"
B1 = "20251231235959.999999Z#000000#002#000000"
B2 = "20260102000000.000000Z#000000#002#000000"
FULL_WIDTH = "\uff12\uff10\uff12\uff16"
Z1 = "20260101120000.000000Z#000000#000#000000"

csns = st.builds(
    "{:%Y%m%d%H%M%S.%f}Z#{:06x}#{:03x}#{:06x}".format,
    st.datetimes(datetime.fromisoformat("2000-01-01")),
    st.integers(0, 5),
    st.integers(0, 4),
    st.just(0),
)
cookies = st.builds(SyncCookie.of, st.lists(csns, min_size=1, max_size=8))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"rid=000,csn={Z1}", (Z1,), id="one provider without a number"),
        pytest.param(f"rid=000,sid=001,csn={A1}", (A1,), id="written by provider 1"),
        pytest.param(f"rid=123,sid=002,csn={B1};{A1}", (A1, B1), id="two providers, in order of number"),
        pytest.param(f"csn={A1};{A2}", (A2,), id="one provider twice: the newer"),
        pytest.param(f"rid=000,csn={A1},delcsn={B1}", (A1,), id="a field of no interest"),
    ],
)
def test_a_cookie_of_openldap_is_understood(text, expected):
    assert SyncCookie.parse(text).csns == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "rid=000",
        "rid=000,",
        "rid=000,csn=",
        "rid=000,csn=xyz",
        f"rid=000,csn={A1};",
        f"rid=000,csn={A1},csn={B1}",
        f"rid=000,csn={A1} ",
        f"rid=000,csn={A1[:-1]}",
        f"rid=000,csn={A1.replace('#001#', '#1#')}",
        f"rid=000,csn={A1.replace('2026', FULL_WIDTH)}",
        "rid=000,csn=20260101120000Z#000000#00#000000",
        "directory.example.org:389#cn=agent:dc=example,dc=org:(objectClass=*)#42",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(Invalid):
        SyncCookie.parse(text)


@given(st.text())
def test_no_text_breaks_the_parser(text):
    with suppress(Invalid):
        SyncCookie.parse(text)


def test_the_author_of_a_cookie_is_never_sent_back():
    assert str(SyncCookie.parse(f"rid=007,sid=001,csn={B1};{A1}")) == f"rid=000,csn={A1};{B1}"


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        pytest.param((A1, B1), (A2,), (A2, B1), id="the other provider is not forgotten"),
        pytest.param((A2, B1), (A1, B2), (A2, B2), id="the newest of each"),
        pytest.param((A1,), (B1,), (A1, B1), id="a provider that is new"),
        pytest.param((A2,), (A3,), (A3,), id="the second change of one microsecond"),
    ],
)
def test_merging_keeps_the_newest_of_each_provider(mine, theirs, expected):
    assert SyncCookie.of(mine).merged(SyncCookie.of(theirs)).csns == expected


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        ((A1,), (A1,), False),
        ((A1,), (A2,), False),
        ((A2,), (A1,), True),
        ((A2, B1), (A1, B2), True),
        ((A1,), (A1, B1), False),
        ((A1, B1), (A1,), True),
    ],
)
def test_a_cookie_is_ahead_by_any_provider(mine, theirs, expected):
    assert SyncCookie.of(mine).is_ahead_of(SyncCookie.of(theirs)) is expected


@given(cookies)
def test_a_cookie_survives_being_written(cookie):
    assert SyncCookie.parse(str(cookie)) == cookie


@given(cookies, cookies, cookies)
def test_the_order_of_merging_does_not_matter(a, b, c):
    assert a.merged(b) == b.merged(a)
    assert a.merged(b).merged(c) == a.merged(b.merged(c))
    assert a.merged(a) == a


@given(cookies, cookies)
def test_a_merged_cookie_is_behind_neither(a, b):
    assert not a.is_ahead_of(a.merged(b))
    assert not b.is_ahead_of(a.merged(b))
    assert a.merged(b).is_ahead_of(a) == b.is_ahead_of(a)


@pytest.mark.parametrize(
    ("csn", "ahead_s", "passes_over"),
    [
        ("20260101115958.000001Z#000000#001#000000", 2.0, True),
        (A1, 0.0, False),
        ("20260101120002.000001Z#000000#001#000000", 0.0, False),
        ("20260101115958.000001Z#000000#002#000000", 0.0, False),
        ("nonsense", 0.0, False),
        ("", 0.0, False),
    ],
)
def test_a_cookie_may_be_ahead_of_a_change_that_is_made_now(csn, ahead_s, passes_over):
    cookie = SyncCookie.of((A1,))
    assert (cookie.ahead_s(csn), cookie.passes_over(csn)) == (ahead_s, passes_over)
