"""What a service gives its template sets is what these declare: misspelt and missing names are its problems."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.model.template_set import Declared
from relocd.reconcile.goals import GoalId
from relocd.reconcile.spec import misnamed
from tests.support.plans import context, goal, template_set

PORT, BASE = Declared("port", "[0-9]+", 5, "where it listens"), Declared("base", ".+", 99, "a DN")
KEY = Declared("key", ".+", 99, "the password", required=True)
NGINX = template_set("nginx", parameters=(PORT,), closed=True)
DATA = template_set("data", closed=True)
OPEN = template_set("own")
CLIENT = template_set("client", parameters=(BASE,), closed=True)
LDAP = template_set("ldap", parameters=(BASE,), secrets=(KEY,), closed=True)


def problems(own, others=(), secrets=(), **parameters):
    given = context("web", "active", parameters=parameters, secrets=dict.fromkeys(secrets, "x"))
    return misnamed(goal("web", context=given), own, others)


@pytest.mark.parametrize(
    ("own", "others", "parameters"),
    [
        pytest.param([NGINX], [], {}, id="nothing"),
        pytest.param([NGINX], [], {"port": "80"}, id="declared"),
        pytest.param([DATA, NGINX], [], {"port": "80"}, id="declared by one of two"),
        pytest.param([OPEN], [], {"prot": "80"}, id="a set that declares nothing"),
        pytest.param([NGINX, OPEN], [], {"prot": "80"}, id="beside such a one"),
        pytest.param([NGINX], [CLIENT], {"base": "dc=a"}, id="for a set of the whole server"),
        pytest.param([NGINX], [OPEN], {"prot": "80"}, id="perhaps for such a one"),
        pytest.param([NGINX], [None], {"prot": "80"}, id="perhaps for one that cannot be read"),
        pytest.param([], [], {"prot": "80"}, id="no set at all"),
    ],
)
def test_what_may_be_meant_is_no_problem(own, others, parameters):
    assert problems(own, others, **parameters) == ()


def test_a_misspelt_name_is_named_with_the_right_one():
    (problem,) = problems([DATA, NGINX], prot="80")
    assert problem.startswith("parameters.prot ")
    assert problem.endswith("did you mean port?")


def test_so_is_a_secret_that_nothing_takes_without_its_value():
    (problem,) = problems([NGINX], secrets=["kee"])
    assert problem.startswith("secrets.kee ")


def test_what_a_set_needs_and_does_not_get_is_named_with_what_it_is_for():
    (problem,) = problems([LDAP])
    assert problem.startswith("secrets.key is missing")
    assert "the password" in problem
    assert problems([LDAP], secrets=["key"]) == ()


def test_a_set_of_the_whole_server_needs_nothing_for_itself():
    assert misnamed(replace(goal("ldap"), id=GoalId("server:ldap")), [LDAP], []) == ()
