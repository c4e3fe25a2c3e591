"""`relocd schema`, `init-pair`, `install`, `completion` and `version`: what sets up a directory or a machine."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path
from typing import Final

import click
from click.shell_completion import ShellComplete, get_completion_class

from relocd import __version__
from relocd.cli.access import OPTIONS, dn_given
from relocd.cli.options import PATH, dry_run, flag, option
from relocd.config.password_file import first_line
from relocd.errors import Invalid
from relocd.install import service_unit, triggers
from relocd.install.manual.pages import agent_page, command_page, openldap_page, settings_page
from relocd.install.triggers import TRIGGERS, Target, targets
from relocd.model.uri import DirectoryUri
from relocd.openldap.changes import ldif
from relocd.openldap.ldapi import SOCKET
from relocd.openldap.pair import init_pair, planned
from relocd.openldap.pair_plan import Pair
from relocd.openldap.schema_upgrade import carry_out
from relocd.openldap.schema_upgrade import planned as planned_upgrade
from relocd.printable import say
from relocd.schema import acl
from relocd.schema.acl import EXAMPLE
from relocd.schema.acl_rules import Roles
from relocd.schema.definitions import FORMS, VERSION, Form, text

__all__ = ["COMPLETION_VARIABLE", "PROGRAM", "completion", "init_pair_command", "install", "schema", "version"]

_COMPLETION_HINT: Final = "new shells complete relocd's commands and names"

_PLACES: Final = {
    "bash": "bash-completion/completions/relocd",
    "zsh": "zsh/site-functions/_relocd",
    "fish": "fish/vendor_completions.d/relocd.fish",
}
# Once loaded from its folder, click's script would only register itself when it is asked for the second time.
_MORE: Final = {"zsh": "compdef _relocd_completion relocd\n"}
_SHARE: Final = "usr/local/share"
PROGRAM: Final = "relocd"
COMPLETION_VARIABLE: Final = "_RELOCD_COMPLETE"


_SHIPPED: Final = ("systemd", "completion", "manual")
"""What the Debian package brings along, at the places of the distribution."""
_WHAT: Final = (*_SHIPPED, *TRIGGERS)
_MANUAL: Final = "usr/local/share/man"


@click.command
def version() -> None:
    """Print the version."""
    print(__version__)


@click.command
@option(
    "--format", "form", type=click.Choice(FORMS), default="schema", help="Print it for slapd.conf or for cn=config."
)
@flag("--acl", "access", help="Print the access rules instead of the schema.")
@option("--suffix", default=EXAMPLE.suffix, help="Write rules for the entries below this DN, with --acl.")
@option("--admins", default="", help="Let this group or entry change everything, with --acl.")
@option("--triggers", default="", help="Let this group or entry move services, with --acl.")
@option("--database", default=EXAMPLE.database, help="Name the database's entry in cn=config, with --acl.")
@flag("--upgrade", help="Bring the schema of the slapd on this machine up to this version. Can be repeated.")
@option("--socket", default=SOCKET, help="Use this socket of the slapd on this machine, with --upgrade.")
@dry_run("Only print the changes, as LDIF, with --upgrade.")
def schema(
    *,
    form: Form,
    access: bool,
    suffix: str,
    admins: str,
    triggers: str,
    database: str,
    upgrade: bool,
    socket: str,
    dry_run: bool,
) -> None:
    """Print the directory schema, or access rules for OpenLDAP; or upgrade the schema of a running slapd."""
    if upgrade and access:
        raise Invalid("--upgrade changes the schema, and --acl prints access rules; give one of them")
    if dry_run and not upgrade:
        raise Invalid("--dry-run is for --upgrade; without that nothing is changed")
    if upgrade:
        _upgrade_schema(socket, dry_run=dry_run)
        return
    if not access:
        print(text(form), end="")
        return
    if not admins:
        raise Invalid(
            "--acl needs --admins, the name of a group or an entry; without them no client could change anything"
        )
    print(acl.text(form, Roles(dn_given("--suffix", suffix), admins, triggers, database)), end="")


def _upgrade_schema(socket: str, *, dry_run: bool) -> None:
    """Make the changes, or print them; then say where else they are needed."""
    wanted = planned_upgrade(socket)
    if dry_run:
        print(ldif(wanted.changes), end="")
        return
    for change in carry_out(socket, wanted):
        say(f"done: {change.why}")
    if not wanted.changes:
        print(f"nothing to do: the schema is version {VERSION}")
    for provider in wanted.providers:
        say(f"next: the same on {provider}, before anyone sets a new attribute: it replicates from here and back")


@click.command("init-pair")
@option("--server-id", type=int, required=True, help="Give this provider its number: 1 on one node, 2 on the other.")
@option("--peer", required=True, help="Name the other node by its URI: ldap:// or ldaps://.")
@option(
    "--password-file",
    "replication_password",
    type=PATH,
    required=True,
    help="Read the replication password, the same on both nodes, from the first line of this file.",
)
@option("--suffix", default=EXAMPLE.suffix, help="Put relocd's entries below this DN.")
@option(
    "--admins",
    default="",
    help="Let this group or entry change everything; by default the rootdn of the superior database.",
)
@option("--triggers", default="", help="Let this group or entry move services.")
@flag("--tls/--no-tls", default=True, help="Protect an ldap:// peer by StartTLS.")
@flag("--create", help="Create the first entries; on one node only.")
@option("--folder", default="", help="Keep the databases in this folder; by default beside the existing ones.")
@option("--socket", default=SOCKET, help="Use this socket of the slapd on this machine.")
@dry_run("Only print the changes, as LDIF.")
def init_pair_command(
    *,
    server_id: int,
    peer: str,
    replication_password: Path,
    suffix: str,
    admins: str,
    triggers: str,
    tls: bool,
    create: bool,
    folder: str,
    socket: str,
    dry_run: bool,
) -> None:
    """Make the slapd on this machine one of a pair of providers for relocd's entries. Can be repeated."""
    other = _peer(peer)
    starttls = tls and other.scheme == "ldap"
    pair = Pair(
        dn_given("--suffix", suffix),
        server_id,
        other.written(),
        first_line(replication_password),
        admins,
        triggers,
        starttls,
        folder,
    )
    if dry_run:
        print(ldif(planned(socket, pair, create=create)), end="")
        return
    changed = False
    for change in init_pair(socket, pair, create=create):
        changed = True
        say(f"done: {change.why}")
    if not changed:
        print("nothing to do")


def _peer(text: str) -> DirectoryUri:
    found = DirectoryUri.parse(text)
    if not found.host:
        raise Invalid(f"--peer {text!r} names no host; write ldap://HOST or ldaps://HOST")
    return found


@click.command
@click.argument("what", type=click.Choice(_WHAT), metavar="WHAT", help=f"One of {', '.join(_WHAT)}.")
@option("--root", type=PATH, default=Path("/"), help="Install below this folder.")
@dry_run("Only print which files would be written.")
@click.pass_context
def install(context: click.Context, what: str, root: Path, *, dry_run: bool) -> None:
    """Install the agent's systemd unit, shell completion, manual pages, or the trigger of a cluster manager."""
    files, hint = _installable(context.find_root().command, what, root)
    shipped = what in _SHIPPED and root == Path("/") and _installer() == "dpkg"
    missing = tuple(file for file in files if not (shipped or file.is_there))
    for file in missing if dry_run else triggers.install(missing):
        say(f"{'would write' if dry_run else 'wrote'} {file.path}")
    if not missing:
        say("nothing to do: all files are there")
    say(hint)


def _installable(command: click.Command, what: str, root: Path) -> tuple[tuple[Target, ...], str]:
    """The files below a root, and what is left for the administrator to do."""
    match what:
        case "systemd":
            return (service_unit.unit_target(root),), service_unit.HINT
        case "completion":
            return _completion_targets(command, root), _COMPLETION_HINT
        case "manual":
            return _manual(command, root), "man relocd"
        case _:
            return targets(what, root), f"fill in /etc/relocd/trigger.conf; then, {TRIGGERS[what].hint}"


def _installer() -> str:
    """The program that installed relocd, by the file that it leaves (PEP 376)."""
    return (distribution("relocd").read_text("INSTALLER") or "").strip()


def _manual(command: click.Command, root: Path) -> tuple[Target, ...]:
    pages = (command_page(command, OPTIONS), settings_page(), agent_page(), openldap_page())
    return tuple(Target(root / _MANUAL / page.file_name, page.text, 0o644) for page in pages)


@click.command
@click.argument("shell", type=click.Choice(list(_PLACES)), metavar="SHELL", help=f"One of {', '.join(_PLACES)}.")
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script for a shell's completion of relocd.

    For this shell only: source <(relocd completion bash). For all users: relocd install completion.
    """
    print(_script(context.find_root().command, shell), end="")


def _completion_targets(command: click.Command, root: Path) -> tuple[Target, ...]:
    """The scripts, each where its shell looks for it."""
    share = root / _SHARE
    return tuple(Target(share / place, _script(command, shell), 0o644) for shell, place in _PLACES.items())


def _script(command: click.Command, shell: str) -> str:
    kind: type[ShellComplete] | None = get_completion_class(shell)
    if kind is None:
        raise LookupError(f"click has no completion for {shell}")
    return kind(command, {}, PROGRAM, COMPLETION_VARIABLE).source() + _MORE.get(shell, "")
