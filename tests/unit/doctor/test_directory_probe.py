"""A peer that cannot even be asked is a finding, not the end of the doctor."""

import pytest

from relocd.doctor.directory.probe import _asked

PEER = {"provider": "ldap://localhost", "bindmethod": "simple", "searchbase": "ou=relocd", "starttls": "critical"}


@pytest.mark.parametrize(
    ("wrong", "ca_file"),
    [
        pytest.param({"tls_cacert": "/nowhere/ca.crt"}, "", id="no such authority"),
        pytest.param({}, "/nowhere/ca.crt", id="no such authority of slapd"),
        pytest.param({"provider": "ldap://localhost:no"}, "", id="no port"),
        pytest.param({"provider": "ldap://[::1"}, "", id="no address"),
    ],
)
def test_what_cannot_be_asked_is_a_problem_that_names_the_peer(wrong, ca_file):
    directive = PEER | wrong
    assert directive["provider"] in _asked(directive, ca_file).problem
