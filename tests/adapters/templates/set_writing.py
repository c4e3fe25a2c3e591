"""Template sets written to disk, and a process that can open nothing more."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Whatever is to be opened in the block meets EMFILE."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
