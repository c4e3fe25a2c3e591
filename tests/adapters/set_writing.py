"""Template sets written to disk."""

from __future__ import annotations

from pathlib import Path

MANIFEST = """
[[file]]
source = "a.j2"
target = "/etc/a/{name}.conf"
"""


def write_set(folder: Path, manifest: str = MANIFEST, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.toml").write_text(manifest)
    for name, content in ({"a": "x"} | files).items():
        (folder / f"{name}.j2").write_text(content)
    return folder
