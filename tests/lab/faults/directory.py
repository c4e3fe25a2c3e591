"""Directories that are empty for a while, come from the future, rename what is above a service, or talk nonsense."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.adapters.ldap.scripted_provider import NTP, WEB, entry, refresh_done, scripted
from tests.lab.faults.kind import Kind
from tests.lab.faults.rig import SERVICE, Rig
from tests.lab.hosts.hosts import entered
from tests.lab.slapd.ldif import SUFFIX, record, server_dn, service_dn
from tests.lab.timeline import Claim

__all__ = ["BadProvider", "ClockAhead", "EmptyDirectory", "ParentRenamed"]

_AWAY_S: Final = 1.5
_AHEAD: Final = timedelta(hours=2)


class ParentRenamed(Kind):
    """What is above the service is renamed, then the link corrected: it is the same service all the time."""

    name = "parent-renamed"
    what = "the folder of all services is renamed and the link corrected, there and back"

    def disturb(self) -> None:
        self.began_ns = time.monotonic_ns()
        self.elsewhere = service_dn(SERVICE).replace("ou=services", "ou=dienste")
        self._rename("services", "dienste", self.elsewhere)
        word = self.rig.write(dn=self.elsewhere)
        self.follows = self.rig.watch_for(self.rig.lease_s, lambda: self.rig.has_heard(self.old, word))

    def _rename(self, old: str, new: str, dn: str) -> None:
        self.rig.slapd.modify(f"dn: ou={old},{SUFFIX}\nchangetype: modrdn\nnewrdn: ou={new}\ndeleteoldrdn: 1\n")
        self.rig.watch_for(1.0)
        change = f"changetype: modify\nreplace: relocServiceLink\nrelocServiceLink: {dn}\n"
        self.rig.slapd.modify(f"dn: {server_dn(self.old)}\n{change}")
        self.rig.watch_for(1.0)

    def heal(self) -> None:
        self._rename("dienste", "services", service_dn(SERVICE))

    def ends_at(self) -> Sequence[str]:
        return [self.old]

    def claims(self) -> Iterable[Claim]:
        yield self.rig.stays(self.old, self.began_ns)
        yield Claim("the renamed service is followed", self.follows)


class ClockAhead(Kind):
    """A provider's clock was ahead once, and so is its contextCSN: what changed while no agent listened is seen."""

    name = "clock-ahead"
    what = "the provider's contextCSN is two hours ahead, and something changes while it is away"

    def disturb(self) -> None:
        slapd, backup = self.rig.slapd, self.rig.stage.folder / "ahead.ldif"
        if self.number == 1:
            before = {name: len(list(node.lines())) for name, node in self.rig.stage.nodes.items()}
            slapd.slapcat(backup)
            backup.write_text(_ahead(backup.read_text()))
            slapd.stop()
            slapd.wipe()
            slapd.slapadd(backup)
            slapd.start()
            for name, skip in before.items():
                self.rig.node(name).wait_for(lambda line: line.message == "refresh complete", skip=skip)
        slapd.stop()
        listen, slapd.listen = slapd.listen, ()
        slapd.start()
        self.word = self.rig.write()
        slapd.stop()
        slapd.listen = listen
        self.rig.watch_for(_AWAY_S)

    def heal(self) -> None:
        self.rig.slapd.start()
        self.follows = self.rig.watch_for(self.rig.lease_s, lambda: self.rig.has_heard(self.old, self.word))

    def ends_at(self) -> Sequence[str]:
        return [self.old]

    def claims(self) -> Iterable[Claim]:
        yield Claim("what changed meanwhile is followed", self.follows)


def _ahead(ldif: str) -> str:
    """An unused entry gets a CSN in the future, and with it the database."""
    future = (datetime.now(UTC) + _AHEAD).strftime("%Y%m%d%H%M%S")
    pattern = rf"(dn: ou=clusters,{SUFFIX}\n(?:.+\n)*?entryCSN: )\d{{14}}"
    changed, times = re.subn(pattern, rf"\g<1>{future}", ldif)
    if times != 1:
        raise RuntimeError("the backup has no entry of the folder of clusters")
    return changed


class EmptyDirectory(Kind):
    """slapd comes up with nothing but its suffix, then with the right database: links are followed as before."""

    name = "empty-directory"
    what = "slapd is up with its suffix alone for a while, then with its database"

    def disturb(self) -> None:
        slapd = self.rig.slapd
        self.began_ns = time.monotonic_ns()
        self.backup = self.rig.stage.folder / "backup.ldif"
        slapd.slapcat(self.backup)
        slapd.stop()
        slapd.wipe()
        slapd.start()
        slapd.add(record(SUFFIX, {"objectClass": "organizationalUnit"}))
        self.rig.watch_for(_AWAY_S)

    def heal(self) -> None:
        slapd = self.rig.slapd
        slapd.stop()
        slapd.wipe()
        slapd.slapadd(self.backup)
        slapd.start()

    def ends_at(self) -> Sequence[str]:
        return [self.old]

    def claims(self) -> Iterable[Claim]:
        if self.rig.isolation == "keep":
            yield self.rig.stays(self.old, self.began_ns)


class BadProvider(Kind):
    """While slapd is away, the agents find a provider whose names are not UTF-8: they refuse it and go on."""

    name = "bad-provider"
    what = "the second URI is a provider whose entries have names that are not UTF-8, and slapd is away"

    @classmethod
    def prepare(cls, rig: Rig, stack: ExitStack) -> Mapping[str, Any]:
        bad = b"cn=caf\xe9,ou=services," + SUFFIX.encode()
        answers = [entry(bad, WEB), entry(b"\xff\xfe", NTP), refresh_done()]
        client = rig.stage.lan["client"]
        with entered(client):
            uri = stack.enter_context(scripted(answers, at=client.ipv4))
        return {"directory": {"uris": [rig.slapd.uri, uri]}}

    def disturb(self) -> None:
        self.began_ns = time.monotonic_ns()
        self.rig.slapd.stop()
        self.rig.watch_for(2 * _AWAY_S)

    def heal(self) -> None:
        self.found = [self.rig.alive()]
        self.rig.slapd.start()
        self.rig.revive()

    def ends_at(self) -> Sequence[str]:
        return [self.old]

    def claims(self) -> Iterable[Claim]:
        yield from self.found
        found = [line for line in self.rig.lines(self.old, self.began_ns) if "malformed" in str(line.fields)]
        yield Claim("what is wrong is said", bool(found))
