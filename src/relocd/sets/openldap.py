"""`relocd-openldap`: give a data suffix of the slapd on this machine the role that a file of the template set says.

    relocd-openldap check FILE      could it be done? Changes nothing.
    relocd-openldap apply FILE      promote to the primary, or follow it
    relocd-openldap release FILE    stop being the primary, before another server becomes it
    relocd-openldap status FILE     exit with 0 from apply to release, while the role is applied here

slapd is neither restarted nor do its clients lose their connections. Every step can be repeated, and a run that was cut
short is continued by the next one. While a file beside says that this server is the primary of the suffix, a file that
wants a consumer waits: of two services of one server the primary wins.

A former primary may have taken writes that never reached the new one. slapd 2.5 keeps them for ever and says nothing:
what was modified is newer than what the primary has, what was deleted is not sent again. So whoever follows is compared
with the primary, and such entries are named until somebody has dealt with them.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Final

from relocd.errors import Failed, RelocdError, Unavailable
from relocd.model.dn import DN
from relocd.sets.openldap_role import WantedRole, as_consumer, changes, data_database, wanted_role
from relocd.sets.openldap_writes import differing, is_ahead
from relocd.slapd.connection import SOCKET, Directory, Identity, local, remote

__all__ = ["main"]

PATIENCE_S: Final = 10.0
_PAUSE_S: Final = 0.2
_SHOWN: Final = 5


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it is done, 1 with a line on standard error when it is not, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="relocd-openldap", description="The role of a data suffix of slapd.")
    parser.add_argument("--socket", default=SOCKET, help="the socket of slapd [%(default)s]")
    parser.add_argument(
        "--patience", type=float, default=PATIENCE_S, help="seconds to wait for an answer of the primary [%(default)s]"
    )
    parser.add_argument("command", choices=("check", "apply", "release", "status"))
    parser.add_argument("file", type=Path, help="what the template set `openldap` has rendered")
    options = parser.parse_args(arguments)
    try:
        with local(options.socket) as slapd:
            return _run(slapd, options)
    except RelocdError as error:
        print(f"relocd-openldap: {error}", file=sys.stderr)
        return 1


def _run(slapd: Directory, options: argparse.Namespace) -> int:
    wanted = wanted_role(options.file)
    match options.command:
        case "check":
            data_database(slapd.config(), wanted.suffix)
        case "apply":
            _apply(slapd, wanted, options.file, options.patience)
        case "release":
            _release(slapd, wanted, options.file)
        case _:
            stands = wanted.active and not _released(options.file).exists()
            return 0 if stands and not changes(slapd.config(), wanted) else 1
    return 0


def _apply(slapd: Directory, wanted: WantedRole, file: Path, patience_s: float) -> None:
    primary = _primary_beside(wanted, file) if wanted.role == "consumer" else None
    if primary is not None and not wanted.active:  # it rests, and the primary decides over the database
        print(f"relocd-openldap: {file} rests, because {primary} makes this server the primary")
        return
    if primary is not None:
        raise Failed(
            f"{primary} makes this server the primary of {wanted.suffix}, so {file} has to wait; where that does "
            "not end, let the service of the primary displace this one (relocDisplaces)"
        )
    _released(file).unlink(missing_ok=True)
    _change(slapd, wanted)
    if wanted.role == "consumer":
        _require_same_writes(slapd, wanted, patience_s)


def _release(slapd: Directory, wanted: WantedRole, file: Path) -> None:
    """Only what this file has made a primary: a consumer has nothing to give up, and is released all the same."""
    if wanted.role == "provider":
        _change(slapd, as_consumer(wanted))
    _released(file).touch()


def _released(file: Path) -> Path:
    """What marks a file as released until it is applied again: slapd's configuration does not tell it of a consumer."""
    return file.with_name(f".{file.name}.released")


def _change(slapd: Directory, wanted: WantedRole) -> None:
    for change in changes(slapd.config(), wanted):
        slapd.apply(change)
        print(f"relocd-openldap: {change.why}")


def _primary_beside(wanted: WantedRole, file: Path) -> Path | None:
    """The file of another service that makes this server the primary of the suffix."""
    for other in sorted(file.parent.glob("*.toml")):
        if other == file or other.name.startswith("."):  # a hidden one is not in place yet
            continue
        found = wanted_role(other)
        if found.role == "provider" and DN.parse(found.suffix) == DN.parse(wanted.suffix):
            return other
    return None


def _require_same_writes(slapd: Directory, wanted: WantedRole, patience_s: float) -> None:
    """Raise `Failed` while this server has writes that the primary has not, `Unavailable` while nobody can say."""
    deadline = time.monotonic() + patience_s
    identity = Identity(wanted.bind_dn, wanted.password, wanted.starttls, slapd.config().ca_file)
    while True:
        try:
            found = _lost_writes(slapd, wanted, identity)
            problem: RelocdError = Failed(_advice(wanted, found))
            if not found:
                return
        except Unavailable as error:
            problem = Unavailable(f"{error}; whether this server has writes that the primary has not is unknown")
        if time.monotonic() > deadline:
            raise problem
        time.sleep(_PAUSE_S)


def _lost_writes(slapd: Directory, wanted: WantedRole, identity: Identity) -> tuple[str, ...]:
    """The names of entries that were written here and not at the primary."""
    with remote(wanted.primary, identity) as primary:
        ours, theirs = slapd.context_csns(wanted.suffix), primary.context_csns(wanted.suffix)
        for csns, who in ((theirs, f"{wanted.primary} shows {wanted.bind_dn}"), (ours, "this slapd shows root")):
            if not csns:
                raise Unavailable(f"{who} no contextCSN of {wanted.suffix}: it is not loaded yet, or not readable")
        if not is_ahead(ours, theirs):
            return ()
        mine = slapd.versions(wanted.suffix)  # before the other: what comes in between is no difference of ours
        return differing(mine, primary.versions(wanted.suffix), ours)


def _advice(wanted: WantedRole, found: tuple[str, ...]) -> str:
    shown = "; ".join(found[:_SHOWN]) + (f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
    return (
        f"{len(found)} entries of {wanted.suffix} were written here and never reached {wanted.primary}: {shown}. "
        "Write there what is needed of them; then stop slapd, empty the database's folder and start slapd"
    )


if __name__ == "__main__":
    sys.exit(main())
