"""Folders of a host's own: programs on several hosts of one machine see different files at the same path.

A program runs in a mount namespace in which its host's folders are mounted over the paths. They outlive it: the next
program with the same folders finds what the last one left. The machine's own files are not touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shlex import quote

__all__ = ["with_folders"]


def with_folders(argv: Sequence[str], folders: Mapping[str, Path]) -> list[str]:
    """The argument list that runs a program which sees own folders at the given paths, also where there are none."""
    if not folders:
        return list(argv)
    absent = {path.parent for path in map(Path, folders) if not path.exists()}
    own = [f"mount --bind {quote(str(place))} {quote(seen)}" for seen, place in folders.items()]
    made = [f"mkdir -p {' '.join(quote(seen) for seen in folders)}"]
    script = " && ".join([*_writable(absent, next(iter(folders.values())).parent), *made, *own, 'exec "$@"'])
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *argv]


def _writable(parents: Iterable[Path], places: Path) -> Iterable[str]:
    """Commands that put links to everything in a folder over that folder, so that a new one can be made there.

    An overlay would be shorter, but a container has its files on one already, and they do not stack everywhere.
    """
    for parent in parents:
        real = places / f"real-{parent.name}"
        real.mkdir(exist_ok=True)
        there, here = quote(str(real)), quote(str(parent))
        yield f"mount --rbind {here} {there}"
        yield f"mount -t tmpfs -o mode=755 tmpfs {here}"
        find = f"find {there} -mindepth 1 -maxdepth 1"
        yield f"{find} -type l -exec cp -P -t {here} {{}} +"
        yield f"{find} ! -type l -exec ln -s -t {here} {{}} +"
