"""What the health checks of a service ask: rendered texts to checks, and those that are refused."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from relocd.errors import Invalid
from relocd.model.health import ANY_GOOD, Check, CheckKind, Endpoint, HealthLimits, HealthSpec, HttpRequest
from relocd.model.template_set import TemplateSet
from relocd.reconcile.health import check_of, planned_checks
from relocd.reconcile.template_context import TemplateAddress

V4, V6 = TemplateAddress("192.0.2.10", 24, 4), TemplateAddress("2001:db8::10", 64, 6)
LIMITS = HealthLimits()


def template_set(*health):
    return TemplateSet("web", Path("/nowhere"), "1", health=health)


def checked(kind, *texts, host="", **more):
    (planned,) = planned_checks([template_set(HealthSpec(kind, texts, host=host, **more))], ())
    return check_of(planned, (*texts, *((host,) if host else ())))


def test_a_text_with_address_is_planned_for_each_address_and_any_other_once():
    health = (
        HealthSpec(CheckKind.UNITS),
        HealthSpec(CheckKind.TCP, ("{{ address.host }}:80",)),
        HealthSpec(CheckKind.COMMAND, ("true", "{{ service.addresses }}")),
        HealthSpec(CheckKind.HTTP, ("http://127.0.0.1/",), host="{{ address.ip }}"),
    )
    found = list(planned_checks([template_set(*health)], (V4, V6)))
    assert [(each.where, [text.address for text in each.texts]) for each in found] == [
        ("template set web: [[health]] 2 tcp", [V4]),
        ("template set web: [[health]] 2 tcp", [V6]),
        ("template set web: [[health]] 3 command", [None, None]),
        ("template set web: [[health]] 4 http", [V4, V4]),
        ("template set web: [[health]] 4 http", [V6, V6]),
    ]


def test_without_an_address_a_text_that_uses_one_asks_nothing():
    assert not list(planned_checks([template_set(HealthSpec(CheckKind.TCP, ("{{ address.host }}:80",)))], ()))


@pytest.mark.parametrize(
    ("url", "endpoint", "target", "tls"),
    [
        ("http://192.0.2.10/", "192.0.2.10:80", "/", False),
        ("http://192.0.2.10:81", "192.0.2.10:81", "/", False),
        (" https://[2001:db8::10]/a/b?c=d#e ", "[2001:db8::10]:443", "/a/b?c=d", True),
    ],
)
def test_an_http_check_asks_an_address_for_a_path(url, endpoint, target, tls):
    check = checked(CheckKind.HTTP, url)
    assert (str(check.endpoint), check.request.target, check.request.tls) == (endpoint, target, tls)
    assert check.request.statuses == ANY_GOOD


def test_an_http_check_asks_for_the_host_that_it_is_told():
    check = checked(CheckKind.HTTP, "http://192.0.2.10:81/", host="www.example.org", statuses=((200, 200),))
    endpoint = Endpoint(ip_address("192.0.2.10"), 81)
    request = HttpRequest("/", "www.example.org", tls=False, statuses=((200, 200),))
    assert check == Check(CheckKind.HTTP, "http://192.0.2.10:81/", LIMITS, endpoint, request)
    assert checked(CheckKind.HTTP, "http://192.0.2.10:81/").request.host == "192.0.2.10:81"


@pytest.mark.parametrize("kind", [CheckKind.TCP, CheckKind.DNS, CheckKind.NTP])
@pytest.mark.parametrize("text", ["192.0.2.10:53", "[2001:db8::10]:53"])
def test_the_other_kinds_ask_an_endpoint(kind, text):
    check = checked(kind, text)
    assert (check.kind, str(check.endpoint), check.name) == (kind, text, f"{kind} {text}")


def test_a_command_keeps_its_arguments():
    check = checked(CheckKind.COMMAND, "test", "-e", "a b")
    assert (check.arguments, check.name) == (("test", "-e", "a b"), "test -e 'a b'")


@pytest.mark.parametrize("kind", [CheckKind.HTTP, CheckKind.TCP, CheckKind.COMMAND])
def test_a_text_that_is_rendered_to_nothing_asks_nothing(kind):
    assert checked(kind, " ") is None


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (CheckKind.HTTP, "ftp://192.0.2.10/", "is not http://IP:PORT/PATH"),
        (CheckKind.HTTP, "http://a@192.0.2.10/", "is not http://IP:PORT/PATH"),
        (CheckKind.HTTP, "http://web.example.org/", "names 'web.example.org' where an IP address is needed"),
        (CheckKind.HTTP, "http://192.0.2.10:0x/", ""),
        (CheckKind.HTTP, "http://192.0.2.10:99999/", ""),
        (CheckKind.HTTP, "http://[192.0.2.10/", ""),
        (CheckKind.HTTP, "http://192.0.2.10/a b", "has a blank or a character that is not ASCII"),
        (CheckKind.HTTP, "http://192.0.2.10/\r\nX: y", "has a blank or a character that is not ASCII"),
        (CheckKind.TCP, "192.0.2.10", "is not IP:PORT"),
        (CheckKind.TCP, "2001:db8::1:80", "is not IP:PORT"),
        (CheckKind.TCP, "localhost:80", "names 'localhost' where an IP address is needed"),
        (CheckKind.TCP, "192.0.2.10:0", "has the port '0'"),
        (CheckKind.DNS, "192.0.2.10:65536", "has the port '65536'"),
        (CheckKind.NTP, ":123", "names ''"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_place(kind, text, message):
    with pytest.raises(Invalid, match=r"^template set web: \[\[health\]\] 1 ") as caught:
        checked(kind, text)
    assert message in str(caught.value)


def test_a_host_with_a_line_break_is_refused():
    with pytest.raises(Invalid, match="blank"):
        checked(CheckKind.HTTP, "http://192.0.2.10/", host="a\r\nX: y")
