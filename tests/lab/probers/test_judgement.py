"""The judgement of probes, on hand-made ones."""

import pytest

from tests.lab.probers.judgement import Probe, doubles, first_answer, outage_ns, overlap_ns, read_probes, written


def client(*answers: tuple[int, str | None]) -> list[Probe]:
    return [Probe(at, "", host, at + 1 if host else None) for at, host in answers]


def frames(host: str, *answered: int) -> list[Probe]:
    return [Probe(at, host, host if at in answered else None, at + 1 if at in answered else None) for at in range(100)]


MOVE = client((10, "node1"), (20, "node1"), (30, None), (40, "node2"), (50, "node2"))


def test_first_answer_of_the_new_host():
    assert first_answer(MOVE, "node2", 15) == Probe(40, "", "node2", 41)
    assert first_answer(MOVE, "node2", 45) == Probe(50, "", "node2", 51)
    assert first_answer(MOVE, "node3", 0) is None


def test_a_frame_to_one_host_is_no_answer_to_the_client():
    assert first_answer(frames("node2", 5), "node2", 0) is None
    assert outage_ns(frames("node2", 5), 0, 50) == 50


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        pytest.param(11, 51, 20, id="between two answers"),
        pytest.param(11, 80, 29, id="still out at the end"),
        pytest.param(60, 80, 20, id="no answer at all"),
    ],
)
def test_outage_is_the_longest_time_without_an_answer(start, end, expected):
    assert outage_ns(MOVE, start, end) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param((1, 2, 3), (2, 3, 4), 1, id="both had it"),
        pytest.param((1, 2), (6, 7), -4, id="no host had it"),
        pytest.param((1, 2), (), None, id="never moved"),
        pytest.param((1, 2), (6, 120), -4, id="outside the span"),
    ],
)
def test_overlap_of_two_hosts(old, new, expected):
    probes = frames("node1", *old) + frames("node2", *new)
    assert overlap_ns(probes, "node1", "node2", 0, 90) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param((10, 20, 30), (22, 32), [22, 32], id="both had it"),
        pytest.param((10, 20), (40, 50), [], id="one after the other"),
        pytest.param((10, 20), (), [], id="one alone"),
    ],
)
def test_two_that_answer_at_once_are_found(one, other, expected):
    probes = frames("node1", *one) + frames("node2", *other)
    assert doubles(probes, within_ns=5) == expected


def test_probes_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "probes"
    path.write_text(written(MOVE))
    assert read_probes(path) == MOVE
