"""What is installed is what was built: the wheel carries schema and template sets, and its base needs no compiler."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PURE = {"click", "ldap3", "pyasn1", "rich"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), "."]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=100)
    with zipfile.ZipFile(next(folder.glob("relocd-*.whl"))) as archive:
        yield archive


def test_base_pulls_no_compiled_package(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "-qq", "--target", str(tmp_path), str(wheel.filename)]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    assert (tmp_path / "relocd").is_dir()
    assert list(tmp_path.rglob("*.so")) == []
    doctor = [sys.executable, "-S", "-W", "ignore", "-m", "relocd.cli.main", "doctor", "--host", "--json"]
    done = subprocess.run(doctor, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    unknown = [each["kind"] for each in json.loads(done.stdout)["findings"] if each["level"] == "not checked"]
    assert unknown[:2] == ["agent-not-installed"] * 2


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("monitoring", "monitoring"),
        ("schema", "schema_files"),
        ("templates", "template_sets"),
        ("src/relocd/triggers", "triggers"),
        ("src/relocd/units", "units"),
        ("src/relocd/manual", "manual"),
    ],
)
def test_wheel_carries_every_file(wheel: zipfile.ZipFile, source: str, place: str) -> None:
    for path in (ROOT / source).rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            carried = wheel.read(f"relocd/{place}/{path.relative_to(ROOT / source)}")
            assert carried == path.read_bytes()


def test_base_needs_only_pure_python(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith("METADATA"))
    metadata = Parser().parsestr(wheel.read(name).decode())
    base = {re.split("[<>]", text)[0] for text in metadata.get_all("Requires-Dist") if "extra ==" not in text}
    assert base == PURE
    assert name.partition("-")[0] == "relocd"
    assert any("none-any" in line for line in wheel.read(name.replace("METADATA", "WHEEL")).decode().splitlines())
