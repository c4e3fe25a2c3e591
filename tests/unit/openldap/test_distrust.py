"""What ldap3 says of a certificate, in few words."""

from __future__ import annotations

import pytest

from relocd.openldap.distrust import distrust

CERTIFICATE = (
    "wrap socket error: certificate {'subject': ((('commonName', 'x'),),), 'serialNumber': '65', "
    "'subjectAltName': (%s)} doesn't match any name in ['192.0.2.10'] "
)
MANY = ", ".join(f"('DNS', 'n{number}')" for number in range(9))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            CERTIFICATE % "('DNS', 'ldap.example.org'), ('IP Address', '192.0.2.1')",
            "its certificate is for ldap.example.org, 192.0.2.1, not for '192.0.2.10'",
        ),
        (
            CERTIFICATE % MANY,
            "its certificate is for n0, n1, n2, n3, n4, n5, n6, n7 and 1 more, not for '192.0.2.10'",
        ),
        (CERTIFICATE % "", "its certificate is for no name, not for '192.0.2.10'"),
        (
            "socket error: [SSL: X] certificate verify failed: unable to get local issuer certificate (_ssl.c:992)",
            "its certificate cannot be verified: unable to get local issuer certificate",
        ),
        ("tlsv13 alert certificate required", "tlsv13 alert certificate required"),
        ("timed out", ""),
    ],
)
def test_in_few_words(text, why):
    assert distrust(ValueError(text)) == why
