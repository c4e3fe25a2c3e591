"""The laboratory's certificates are such as every client takes, also the strict ones."""

from __future__ import annotations

import subprocess

import pytest

from tests.lab.slapd.certificates import issued


@pytest.mark.parametrize("whose", ["server", "client"])
def test_the_checks_that_python_3_13_makes_are_passed(tmp_path, whose):
    """It sets VERIFY_X509_STRICT by default (RFC 5280): an authority has to say that it signs certificates."""
    made = issued(tmp_path, ["ldap.example.org", "192.0.2.1"], "cn=a,dc=example,dc=org")
    certificate, _ = getattr(made, whose)
    verify = ["openssl", "verify", "-x509_strict", "-CAfile", made.ca, certificate]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
