"""The benchmark on a small directory: that it runs to its end and measures everything, not what it finds."""

import json
import subprocess
import sys
from pathlib import Path

from tests.lab.probers.watch import REPOSITORY


def test_every_figure_is_measured(tmp_path):
    figures = tmp_path / "figures.json"
    size = ["--servers", "20", "--services", "40", "--changes", "10", "--idle-seconds", "0.5"]
    bench = subprocess.Popen(
        [sys.executable, "-m", "tests.lab.bench", "scale", *size, "--json", str(figures)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output, _ = bench.communicate(timeout=60)
    assert bench.returncode in {0, 1}, output
    measured = {figure["name"]: figure["value"] for figure in json.loads(figures.read_text())}
    assert measured["entries of the refresh"] in {64, 65}  # four folders; perhaps its own status
    assert measured["CPU of a change, foreign link"] > 0
    assert measured["idle CPU"] >= 0
    assert not list(Path("/run/netns").glob(f"relocd-{bench.pid}-*"))
