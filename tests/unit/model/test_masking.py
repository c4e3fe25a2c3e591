"""What programs said is shown without secrets, whatever way they come out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.errors import Failed
from relocd.model.masking import MASK, SHORTEST, holds, masked, told

KEY = "-----BEGIN KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0\n-----END KEY-----\n"


def shown(words: str, *secrets: str) -> str:
    return told(Failed("it failed", words), secrets).removeprefix("it failed: ")


@pytest.mark.parametrize(
    ("words", "secret", "expected"),
    [
        pytest.param("no geheim!", "geheim", f"no {MASK}!", id="whole"),
        pytest.param("a top\tsecret b", "top\tsecret", f"a {MASK} b", id="a tab"),
        pytest.param("a top secret b", "top\tsecret", f"a {MASK} b", id="a tab that the program made a space"),
        pytest.param("a 'top\\tsecret' b", "top\tsecret", f"a '{MASK}' b", id="a tab as Python quotes it"),
        pytest.param('a "q\\"uote" b', 'q"uote', f'a "{MASK}" b', id="a quote as JSON has it"),
        pytest.param("correct horse\nbattery staple", "correct horse battery staple", MASK, id="wrapped words"),
        pytest.param("line: MIIEvQIBADAN", KEY, f"line: {MASK}", id="a line of several"),
        pytest.param(KEY + "x", KEY, f"{MASK} | x", id="all lines"),
        pytest.param("password=gehe", "geheimnis", f"password={MASK}", id="cut off at its end"),
        pytest.param("geheimnis geheim", "geheim", f"{MASK}nis {MASK}", id="as a part of a word"),
        pytest.param("all is well", "", "all is well", id="an empty one"),
        pytest.param("all is well", "\n", "all is well", id="a blank one"),
    ],
)
def test_a_secret_is_masked(words, secret, expected):
    assert shown(words, secret) == expected


def test_the_longer_of_two_goes_first():
    assert shown("geheimnis", "geheim", "geheimnis") == MASK


@pytest.mark.parametrize("secret", ["x", "xy", "xyz"])
def test_beside_a_secret_too_short_to_mask_nothing_is_shown(secret):
    """The places of the masks would spell it: nothing but that the program failed is told."""
    assert "boxyzard" not in told(Failed("it failed", "boxyzard"), (secret,))


def test_nothing_is_shown_while_the_secrets_are_not_known():
    assert "geheim" not in told(Failed("it failed", "geheim"), None)
    assert told(Failed("it failed"), None) == "it failed"


def test_it_is_masked_before_it_is_cut():
    """Cut first, the rest of a long secret would not be found any more."""
    secret = "correct horse " * 100 + "battery staple"
    text = shown(f"begin {secret} end", secret)
    assert text == f"begin {MASK} end"


def test_the_last_lines_are_shown_as_one():
    assert shown("\n".join(map(str, range(12)))) == "4 | 5 | 6 | 7 | 8 | 9 | 10 | 11"
    assert shown("x" * 2000) == "... "
    assert shown("a\x1b[1mb\n\n  c \n") == "a\\x1b[1mb | c"


LONG = st.text(min_size=SHORTEST, max_size=40).map(str.strip).filter(lambda secret: len(secret) >= SHORTEST)
SECRETS = st.lists(LONG, min_size=1)


@given(SECRETS, st.lists(st.text(alphabet=" \t\nabc*", max_size=10)), st.data())
def test_no_secret_is_left_whatever_is_around_it(secrets, around, data):
    """In any order and number, printed as it is or quoted; a mask itself may be a secret and is none."""
    parts = around + [data.draw(st.sampled_from([each, json.dumps(each)[1:-1]])) for each in secrets]
    text = "\n".join(data.draw(st.permutations(parts)))
    left = masked(text, secrets)
    assert not any(secret in left for secret in secrets if not set(secret) <= {"*"})


@pytest.mark.parametrize(
    ("text", "secret", "held"),
    [
        ("password = geheim", "geheim", True),
        ("a top secret", "top\tsecret", True),
        ("MIIEvQIBADAN", KEY, True),
        ("a, b", "a", True),
        ("password = x", "geheim", False),
        ("anything", "", False),
    ],
)
def test_whether_a_text_holds_one(text, secret, held):
    assert holds(text, [secret]) is held
