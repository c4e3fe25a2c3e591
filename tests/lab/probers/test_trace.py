"""The agent's log lines and the figures of moves, on hand-made ones."""

from datetime import UTC, datetime

import pytest

from tests.lab.demo.show import bar
from tests.lab.probers.figures import Figures, Summary, as_json, judged, measured, summaries
from tests.lab.probers.judgement import Probe
from tests.lab.probers.trace import Line, Steps, line, steps

MS = 1_000_000
DN = "cn=node2,ou=servers"


def log(text: str) -> Line | None:
    return line(f"2026-01-02T03:04:05.000007+00:00 {text}", 0)


class TestLines:
    def test_facts_are_read_plain_and_quoted(self):
        read = log(r'info action done service=web action="raise 192.0.2.1/24 on eth0" took_ms=0.3 reason="\"a\" = b"')
        assert (read.level, read.message) == ("info", "action done")
        assert read.fields == {
            "service": "web",
            "action": "raise 192.0.2.1/24 on eth0",
            "took_ms": "0.3",
            "reason": '"a" = b',
        }
        assert read.action == "raise 192.0.2.1/24 on eth0"

    def test_a_wall_clock_time_becomes_a_monotonic_one(self):
        wall_ns = int(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()) * 10**9 + 7000
        text = "2026-01-02T03:04:05.000007+00:00 info agent starts server=a"
        assert line(text, -1000).at_ns == wall_ns - 1000

    def test_a_moment_that_the_line_names_counts(self):
        assert log("debug change seen dn=a at_ns=42").at_ns == 42

    def test_a_message_may_have_no_facts(self):
        assert log("info agent ends; everything stays as it is").message == "agent ends; everything stays as it is"

    @pytest.mark.parametrize(
        "text", ["", "Traceback (most recent call last):", '  File "a.py", line 1, in b', "no time x=1"]
    )
    def test_what_is_no_line_is_left_out(self, text):
        assert line(text, 0) is None

    def test_what_failed_is_no_action(self):
        assert log('warning action failed action="raise a"').action == ""


def done(at_ms: float, action: str) -> Line:
    return Line(int(at_ms * MS), "info", "action done", {"action": action})


def seen(at_ms: float, dn: str = DN) -> Line:
    return Line(int(at_ms * MS), "debug", "change seen", {"dn": dn})


OLD = [done(1, "drop a"), seen(100), done(105, "drop a"), done(106, "drop b")]
NEW = [seen(101, "cn=node1"), seen(102), done(104, "install f"), done(107, "raise a"), done(108, "raise b")]


class TestSteps:
    def test_each_step_is_over_with_its_last_action(self):
        assert steps(OLD, NEW, 100 * MS, DN) == Steps(
            seen_ns=102 * MS,
            dropped_ns=106 * MS,
            written_ns=104 * MS,
            probed_ns=None,
            raised_ns=108 * MS,
            started_ns=None,
        )

    def test_what_was_before_the_move_does_not_count(self):
        assert steps(OLD, NEW, 200 * MS, DN) == Steps(None, None, None, None, None, None)


def moved(answer_ms: float) -> Figures:
    answers = {"IPv4": int((100 + answer_ms) * MS), "IPv6": None}
    return measured(1, ("node1", "node2"), 100 * MS, 110 * MS, steps(OLD, NEW, 100 * MS, DN), answers)


class TestFigures:
    def test_a_move_is_told_in_milliseconds_after_its_start(self):
        figures = moved(9)
        assert figures.steps["files"] == pytest.approx(4)
        assert figures.steps["modify"] == pytest.approx(10)
        assert figures.steps["probed"] is None
        assert figures.answers == {"IPv4": pytest.approx(9), "IPv6": None}
        assert figures.share == pytest.approx(6)

    def test_a_wait_for_the_wire_is_not_the_agents_share(self):
        new = [*NEW, done(106, "probe a")]
        figures = measured(1, ("node1", "node2"), 100 * MS, 110 * MS, steps(OLD, new, 100 * MS, DN), {})
        assert figures.steps["probed"] == pytest.approx(6)
        assert figures.share is None

    def test_probes_judge_the_time_around_the_move(self):
        """The client is silent from 105 to 109; the frames show that no host had the address from 104 to 107."""
        client = [Probe(at * MS, "", "node1", at * MS) for at in range(80, 106)]
        client += [Probe(at * MS, "", "node2", at * MS) for at in range(109, 260)]
        frames = [Probe(at * MS, "node1", "node1", at * MS) for at in range(80, 105)]
        frames += [Probe(at * MS, "node2", "node2", at * MS) for at in range(107, 260)]
        found = judged(moved(9), {"IPv4": client + frames})
        assert found.outage == {"IPv4": pytest.approx(4)}
        assert found.overlap == pytest.approx(-3)

    def test_many_moves_are_summed_up(self):
        found = summaries([moved(9), moved(11), moved(20)])
        assert found["first answer, IPv4"] == Summary(3, pytest.approx(11), pytest.approx(9), pytest.approx(20))
        assert "first answer, IPv6" not in found
        assert as_json([moved(9)])["moves"][0]["old"] == "node1"

    def test_the_bar_shows_when_and_what_lies_beyond_is_at_its_end(self):
        shown = bar(moved(9), 8.0).strip("├┤")
        assert shown.index("S") == 16
        assert shown.index("F") == 32
        assert shown.endswith("1")
