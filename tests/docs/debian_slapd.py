"""slapd on a machine as Debian's package leaves it after its installation: its own first configuration, its own user.

The unit stands for the init script that the package brings: it forks, and has begun when it listens. It listens at
`ldaps:///`, too, with a certificate for the machine's name by an authority that all machines of the world trust.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.docs.machine import Machine
from tests.lab.slapd.certificates import Certificates
from tests.lab.slapd.slapd import PASSWORD

__all__ = ["ADMIN", "SUFFIX", "install_slapd"]

SUFFIX: Final = "dc=example,dc=org"
ADMIN: Final = f"cn=admin,{SUFFIX}"
_CONFIGURATION: Final = Path("/usr/share/slapd/slapd.init.ldif")
_TLS: Final = """\
objectClass: olcGlobal
olcTLSCertificateFile: /etc/ldap/server.crt
olcTLSCertificateKeyFile: /etc/ldap/server.key
olcTLSCACertificateFile: /etc/ssl/certs/ca-certificates.crt
"""
_ROOT: Final = f"dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n"
_UNIT: Final = """
    [Service]
    Type=forking
    PIDFile=/run/slapd/slapd.pid
    ExecStartPre=install -d -o openldap -g openldap /run/slapd
    ExecStart=slapd -h "ldap:/// ldaps:/// ldapi:///" -g openldap -u openldap -F /etc/ldap/slapd.d
    [Install]
    WantedBy=multi-user.target
    """
_LOAD: Final = """
rm -rf /etc/ldap/slapd.d
mkdir -p /etc/ldap/slapd.d /var/lib/ldap
slapadd -F /etc/ldap/slapd.d -b cn=config -l /root/config.ldif
slapadd -F /etc/ldap/slapd.d -b "$1" -l /root/root.ldif
chown -R openldap:openldap /etc/ldap/slapd.d /var/lib/ldap
chown openldap /etc/ldap/server.key
rm /root/config.ldif /root/root.ldif
"""


def install_slapd(machine: Machine, certificates: Certificates) -> None:
    """Install and start it."""
    first = _CONFIGURATION.read_text().replace("objectClass: olcGlobal\n", _TLS)
    first = first.replace("@SUFFIX@", SUFFIX).replace("@PASSWORD@", PASSWORD)
    machine.write("/root/config.ldif", first)
    machine.write("/root/root.ldif", _ROOT)
    certificate, key = certificates.server
    machine.write("/etc/ldap/server.crt", certificate.read_text())
    machine.write("/etc/ldap/server.key", key.read_text(), mode="600")
    machine.run(["sh", "-ec", _LOAD, "sh", SUFFIX])
    machine.systemd.install("slapd.service", *_UNIT.splitlines())
    machine.run(["systemctl", "start", "slapd"])
