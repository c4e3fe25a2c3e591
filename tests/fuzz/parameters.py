"""Parameters of the shipped template sets, allowed and odd: each comes out in its own directive, in its own line."""

from __future__ import annotations

import json
import re
import tomllib
from random import Random
from typing import Any

from relocd.adapters.templates.render_process import Request, template_of
from relocd.adapters.templates.render_worker import RenderWorker
from relocd.errors import Invalid
from relocd.model.template_set import Declared, TemplateSet, refusal
from relocd.reconcile.spec import PlannedFile, expanded, rendered_file
from relocd.reconcile.template_context import TemplateContext
from tests.fuzz.frame import given
from tests.fuzz.odd import odd_text, one_in
from tests.integration.shipped_lab import context, shipped
from tests.support.contexts import template_context
from tests.support.shipped_values import RANDOM

NAME = "parameters"
CASES = 1200

_WORKER = RenderWorker()
_NAMES = ("web", "a.b-c_D", "a" * 128, "a" * 129, "a\nenable-tftp", "", "-x", "ä")
_LINES = {
    "chrony": r"#.*|(server|peer) \S+( iburst)?( maxpoll 6)?|local stratum \d+|(allow|bindaddress) \S+|",
    "dnsmasq": (
        r"#.*|bind-interfaces|no-resolv|no-hosts|domain-needed|bogus-priv|dhcp-authoritative|local=/[\w.-]+/|"
        r"(port|listen-address|server|domain|host-record|dhcp-leasefile|dhcp-range|dhcp-option|dhcp-host)=\S+|"
    ),
    "ldap-client": r"#.*|URI \S+( \S+)*|BASE [^\"]+|TLS_CACERT /etc/ssl/\S+|NETWORK_TIMEOUT 2|TIMEOUT 10|",
    "nginx": (
        r'#.*| *(worker_processes|pid|\w+_temp_path|listen|proxy_pass|root|include|default_type) [^\s;{}"$]+;|'
        r' *(access_log off|server_tokens off|proxy_\w+( [\w$.-]+)+);| *return 200 "[\w. -]+\\n";|'
        r" *(events|http|server|location /) \{| *\}|"
    ),
}
"""What a line of a rendered file may be, in the sets that others than relocd read."""


def case(random: Random) -> None:
    """One service of one set, rendered in one role by the real worker in this process."""
    template_set = shipped(random.choice(sorted(RANDOM)))
    parameters = {each.name: _value(random, template_set.name, each) for each in template_set.parameters}
    parameters = {key: value for key, value in parameters.items() if one_in(random, 2)}
    secret = f"geheim{odd_text(random) if one_in(random, 3) else ''}"
    name = random.choice(_NAMES) if one_in(random, 4) else "web"
    role = random.choice(["active", "standby"])
    with given(set=template_set.name, name=name, role=role, parameters=parameters, secret=secret):
        values = _context(template_set, name, role, parameters, secret)
        refused = {each.name for each in template_set.parameters if refusal(parameters.get(each.name, "x"), each)}
        for file in _files(template_set, name):
            answer = _answer(file, values)
            assert "text" not in answer or not refused & parameters.keys()
            assert "geheim" not in answer.get("error", "")
            if "text" in answer:
                _check(template_set.name, file, answer["text"], parameters, secret)


def _value(random: Random, name: str, declared: Declared) -> str:
    make = RANDOM[name][declared.name]
    value = " ".join(make(random) for _ in range(random.choice([1, 1, 2, 20]))) if declared.several else make(random)
    if not one_in(random, 8):
        return value
    at = random.randrange(len(value) + 1)
    return value[:at] + odd_text(random) + value[at:]


def _context(
    template_set: TemplateSet, name: str, role: str, parameters: dict[str, str], secret: str
) -> TemplateContext:
    if template_set.name == "ldap-client":
        return template_context(service=None, services=[{"name": name, "parameters": parameters}])
    secrets = {"password": secret} if template_set.secrets else {}
    return context(name, role=role, secrets=secrets, **parameters)


def _files(template_set: TemplateSet, name: str) -> list[PlannedFile]:
    try:
        return [PlannedFile(template_set, spec) for spec in expanded(template_set, name).files]
    except Invalid:
        return []  # no name for a file: nothing of the service is rendered


def _answer(file: PlannedFile, values: TemplateContext) -> dict[str, Any]:
    request = json.loads(Request(values, [template_of(file)], 5.0).encoded())
    answer: dict[str, Any] = json.loads(_WORKER.answer(request["templates"][0], request["context"])[4:])
    return answer


def _check(name: str, file: PlannedFile, text: str, parameters: dict[str, str], secret: str) -> None:
    """Every line is short enough for its reader, and one that the template has."""
    assert file.spec.max_line is not None
    try:
        rendered_file(file, text, secret=True)
    except Invalid:
        assert name == "dnsmasq", "a set whose values are bounded has no line that is too long"
    if name in _LINES:
        for line in re.split("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029\0]", text):
            assert re.fullmatch(_LINES[name], line), line
        return
    found = tomllib.loads(text)
    assert found["password"] == secret
    assert {key: found[key] for key in ("suffix", "bind_dn")} == {key: parameters[key] for key in ("suffix", "bind_dn")}
    assert found["primary"] == parameters.get("primary", "ldap://192.0.2.80")
    assert len(found) == 8
