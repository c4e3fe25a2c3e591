"""BER elements: what is encoded is read again, and what is cut short is known to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.errors import Invalid
from relocd.sync.messages import elements, encoded, span

_contents = st.binary(max_size=300) | st.integers(120, 70_000).map(bytes)
_tags = st.sampled_from([0x02, 0x04, 0x30, 0x63, 0xA3])


@given(st.lists(st.tuples(_tags, _contents), max_size=4))
def test_elements_side_by_side_are_read_again(pairs):
    data = b"".join(encoded(tag, content) for tag, content in pairs)
    assert list(elements(data)) == pairs


@given(_tags, st.lists(_contents, max_size=3))
def test_several_contents_stand_side_by_side_in_one(tag, contents):
    assert encoded(tag, *contents) == encoded(tag, b"".join(contents))


@given(_tags, _contents, st.data())
def test_of_an_element_that_is_not_all_there_yet_the_end_is_beyond(tag, content, data):
    """Also while only a part of its length is there: so who receives goes on."""
    whole = encoded(tag, content)
    part = whole[: data.draw(st.integers(0, min(len(whole) - 1, 8)) | st.just(len(whole) - 1))]
    assert span(part)[1] > len(part)
    assert span(whole) == (len(whole) - len(content), len(whole))
    if part:
        with pytest.raises(Invalid, match="cut short"):
            list(elements(part))


@pytest.mark.parametrize(("size", "head"), [(127, "047f"), (128, "048180"), (256, "04820100")])
def test_a_length_takes_as_many_octets_as_it_needs(size, head):
    """X.690, sections 8.1.3.4 and 8.1.3.5."""
    assert encoded(0x04, bytes(size))[: len(head) // 2].hex() == head
