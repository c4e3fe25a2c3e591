"""Asking the providers from which a slapd replicates, with the identity that its cn=config has for that."""

from __future__ import annotations

import time
from collections.abc import Mapping

from relocd.doctor.directory.facts import Peer
from relocd.errors import RelocdError
from relocd.model.dn import DN
from relocd.openldap.config import Config
from relocd.openldap.connection import Identity, remote
from relocd.openldap.syncrepl import words

__all__ = ["peers"]


def peers(config: Config | None, base: DN) -> tuple[Peer, ...]:
    """The providers of the database of the base; none where the configuration cannot be read."""
    database = None if config is None else config.holding(base)
    if config is None or database is None:
        return ()
    return tuple(_asked(words(value), config.ca_file) for value in database.values("olcSyncrepl"))


def _asked(directive: Mapping[str, str], ca_file: str) -> Peer:
    uri, suffix = directive.get("provider", ""), directive.get("searchbase", "")
    if directive.get("bindmethod") != "simple":
        return Peer(uri, tried=False)
    starttls = directive.get("starttls", "no") != "no"
    who = Identity(
        directive.get("binddn", ""), directive.get("credentials", ""), starttls, directive.get("tls_cacert", ca_file)
    )
    try:
        with remote(uri, who) as provider:
            csns = provider.context_csns(suffix)
    except RelocdError as error:
        return Peer(uri, problem=str(error))
    problem = "" if csns else f"{uri} has no {suffix} yet, or does not show it; run relocd init-pair there"
    return Peer(uri, problem=problem, context_csns=csns, now_s=time.time())
