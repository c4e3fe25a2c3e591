"""The values of RFC 4533 are read as a general ASN.1 decoder reads them, and nothing malformed gets through."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap.syncrepl import SyncInfoMessage, SyncRequestControl, SyncStateControl

from relocd.errors import Invalid
from relocd.sync.messages import (
    EntryState,
    IdSet,
    NewCookie,
    PhaseEnd,
    SyncState,
    sync_info,
    sync_request,
    sync_state,
)

UUID = "2f7ea5a2-5f5c-103f-8a3b-f3e9d9d1c9a1"
OCTETS = bytes.fromhex(UUID.replace("-", ""))
COOKIE = "rid=000,csn=20260101120000.000001Z#000000#001#000000"


def element(tag, content=b""):
    """One BER element with a length of any form."""
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    return bytes((tag, 0x82)) + size.to_bytes(2) + content


def state(number, cookie=None, uuid=OCTETS):
    tail = b"" if cookie is None else element(0x04, cookie.encode())
    return element(0x30, element(0x0A, bytes([number])) + element(0x04, uuid) + tail)


TRUE, FALSE = element(0x01, b"\xff"), element(0x01, b"\0")
TEXT = element(0x04, COOKIE.encode())


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("cookie", [None, COOKIE, COOKIE * 5], ids=["no cookie", "short form", "long form"])
def test_a_state_is_read(number, cookie):
    assert sync_state(state(number, cookie)) == SyncState(EntryState(number), UUID, cookie)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(element(0x80, COOKIE.encode()), NewCookie(COOKIE), id="new cookie"),
        pytest.param(element(0xA1, TEXT), PhaseEnd(True, True, COOKIE), id="delete phase ends the refresh"),
        pytest.param(element(0xA1, TEXT + FALSE), PhaseEnd(True, False, COOKIE), id="delete phase, more to come"),
        pytest.param(element(0xA2, TEXT + TRUE), PhaseEnd(False, True, COOKIE), id="present phase"),
        pytest.param(element(0xA2), PhaseEnd(False, True, None), id="present phase, nothing new"),
        pytest.param(
            element(0xA3, element(0x31, element(0x04, OCTETS) * 9)), IdSet(False, (UUID,) * 9, None), id="present"
        ),
        pytest.param(
            element(0xA3, TEXT + TRUE + element(0x31, element(0x04, OCTETS))),
            IdSet(True, (UUID,), COOKIE),
            id="deleted",
        ),
    ],
)
def test_an_info_message_is_read(value, expected):
    assert sync_info(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x30",
        b"\x30\x85\x01",
        element(0x30),
        element(0x31, state(1)[2:]),
        state(1)[:-1],
        state(4),
        state(1, uuid=OCTETS[:15]),
        element(0x30, element(0x04, OCTETS) + element(0x0A, b"\x01")),
    ],
)
def test_a_malformed_state_is_refused(value):
    with pytest.raises(Invalid):
        sync_state(value)


@pytest.mark.parametrize("value", [b"", b"\x80\x01", element(0xA4), element(0xA3, element(0x31, element(0x04, b"x")))])
def test_a_malformed_info_message_is_refused(value):
    with pytest.raises(Invalid):
        sync_info(value)


@given(st.binary(max_size=60))
def test_no_octets_break_the_decoder(octets):
    for decode in (sync_state, sync_info):
        with suppress(Invalid):
            decode(octets)


@pytest.mark.parametrize("cookie", ["", COOKIE, COOKIE * 5], ids=["no cookie", "short form", "long form"])
def test_a_request_is_what_the_library_would_send(cookie):
    theirs = SyncRequestControl(cookie=cookie or None, mode="refreshAndPersist").encodeControlValue()
    assert sync_request(cookie) == theirs


def test_the_library_reads_the_same_state():
    theirs = SyncStateControl()
    theirs.decodeControlValue(state(3, COOKIE))
    assert (theirs.state, theirs.entryUUID, theirs.cookie) == ("delete", UUID, COOKIE)


def test_the_library_reads_the_same_id_set():
    theirs = SyncInfoMessage(element(0xA3, TEXT + TRUE + element(0x31, element(0x04, OCTETS))))
    assert theirs.syncIdSet == {"cookie": COOKIE, "syncUUIDs": [UUID], "refreshDeletes": True}
