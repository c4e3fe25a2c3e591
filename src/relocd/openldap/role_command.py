"""`relocd-openldap`: give a data suffix of the local slapd the role that a file of the template set describes.

    relocd-openldap check FILE      check that it can be done; change nothing
    relocd-openldap apply FILE      become the primary, or replicate from it
    relocd-openldap close FILE      accept no more writes, and pass on the last ones
    relocd-openldap release FILE    stop being the primary, before another server becomes it
    relocd-openldap lost FILE       list all entries that were written here and never reached the primary

slapd is not restarted, and clients keep their connections. Every command can be repeated, and continues one that was
interrupted. Where another file in the same folder makes this server the primary of the suffix, a file that wants a
consumer waits: of two services on one server the primary wins.
"""

from __future__ import annotations

# A failover starts this program several times, so it imports little: 30 ms a run, half of them for Python itself.
import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from relocd.errors import Failed, RelocdError
from relocd.model.dn import DN
from relocd.openldap.changes import ConfigChange
from relocd.openldap.ldapi import SOCKET, LocalConfig, local_config
from relocd.openldap.role import WantedRole, as_consumer, changes, closing_changes, data_database, wanted_role

__all__ = ["main", "parser"]

PATIENCE_S: Final = 10.0
_DRAIN_S: Final = 0.1
"""How long a closed primary keeps its address, so that its consumers get the last writes."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it is done, 1 with a line on standard error when it is not, 2 for wrong arguments."""
    options = parser().parse_args(arguments)
    try:
        _run(options)
    except RelocdError as error:
        print(f"relocd-openldap: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The parser of the arguments."""
    made = argparse.ArgumentParser(prog="relocd-openldap", description="The role of a data suffix of slapd.")
    made.add_argument("--socket", default=SOCKET, help="the socket of slapd [%(default)s]")
    made.add_argument(
        "--patience", type=float, default=PATIENCE_S, help="seconds to wait for an answer of the primary [%(default)s]"
    )
    made.add_argument("command", choices=("check", "apply", "close", "release", "lost"))
    made.add_argument("file", type=Path, help="what the template set openldap has rendered")
    return made


def _run(options: argparse.Namespace) -> None:
    wanted = wanted_role(options.file)
    if options.command in {"close", "release"} and wanted.role == "consumer":
        return  # a consumer has nothing to release, whatever another file has made of the database
    with local_config(options.socket) as slapd:
        match options.command:
            case "check":
                data_database(slapd.read(), wanted.suffix)
            case "apply":
                _apply(slapd, wanted, options)
            case "close":
                if _carry_out(slapd, closing_changes(slapd.read(), wanted)):
                    time.sleep(_DRAIN_S)
            case "lost":
                from relocd.openldap.lost_writes import lost_writes  # here, since it imports ldap3: 50 ms

                for name in lost_writes(options.socket, wanted, slapd.read().ca_file):
                    print(name)
            case _:
                _carry_out(slapd, changes(slapd.read(), as_consumer(wanted)))


def _apply(slapd: LocalConfig, wanted: WantedRole, options: argparse.Namespace) -> None:
    file = options.file
    primary = _primary_beside(wanted, file) if wanted.role == "consumer" else None
    if (
        primary is not None and not wanted.active
    ):  # the service does not run here, and the primary decides on the database
        print(f"relocd-openldap: {file} is not applied, because {primary} makes this server the primary")
        return
    if primary is not None:
        raise Failed(
            f"{primary} makes this server the primary of {wanted.suffix}, so {file} waits; if that does not end, let "
            "the service of the primary displace this one (relocDisplaces)"
        )
    config = slapd.read()
    _carry_out(slapd, changes(config, wanted))
    if wanted.role == "consumer":
        from relocd.openldap.lost_writes import require_same_writes  # here, since it imports ldap3: 50 ms

        require_same_writes(options.socket, wanted, config.ca_file, options.patience)


def _carry_out(slapd: LocalConfig, wanted: Iterable[ConfigChange]) -> bool:
    """Make the changes; return whether there were any."""
    done = False
    for change in wanted:
        slapd.apply(change)
        print(f"relocd-openldap: {change.why}")
        done = True
    return done


def _primary_beside(wanted: WantedRole, file: Path) -> Path | None:
    """The file of another service that makes this server the primary of the suffix."""
    for other in sorted(file.parent.glob("*.toml")):
        if other == file or other.name.startswith("."):  # a hidden file is not installed yet
            continue
        found = wanted_role(other)
        if found.role == "provider" and DN.parse(found.suffix) == DN.parse(wanted.suffix):
            return other
    return None


if __name__ == "__main__":
    sys.exit(main())
