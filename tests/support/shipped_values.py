"""Values for every parameter and secret of the shipped template sets: random ones, and the longest that are allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from random import Random

from relocd.model.template_set import Declared

__all__ = ["IPV6", "LONGEST", "NAME", "RANDOM", "SHORT", "longest"]

NAME = ".".join(["a" * 63] * 3 + ["b" * 61])
"""A name of 253 letters: no longer one is allowed."""
SHORT = "b" * 60 + ".example"
IPV6 = "2001:db8:1111:2222:3333:4444:5555:6666"


def longest(declared: Declared, item: str) -> str:
    """The longest allowed value: one item, or as many as fit, each with its number in it."""
    if not declared.several:
        return item
    items = [item.format(0)]
    while sum(map(len, items)) + len(items) + len(next_one := item.format(len(items))) <= declared.max_length:
        items.append(next_one)
    return " ".join(items)


LONGEST: Mapping[str, Mapping[str, str]] = {
    "chrony": {
        "kind": "secondary",
        "servers": NAME[:-3] + "{:03}",
        "peers": NAME[:-3] + "{:03}",
        "primary": NAME[:-3] + "{:03}",
        "allow": IPV6[:-3] + "{:03}/128",
        "stratum": "14",
        "listen": "service",
    },
    "dnsmasq": {
        "upstream": IPV6[:-3] + "{:03}",
        "domain": NAME,
        "hosts": NAME[:-3] + "{:03}=" + IPV6,
        "port": "65535",
        "dhcp_range": "192.0.2.100,192.0.2.200,255.255.255.0,192.0.2.255,1{:03}h",
        "dhcp_router": "192.168.100.100",
        "dhcp_hosts": "02:00:00:00:00:01,192.168.100.{0}," + "c" * 60 + "{0:03},1000h",
    },
    "ldap-client": {
        "ldap_uris": f"ldaps://{NAME[:-3]}{{:03}}:65535",
        "ldap_base": "dc=" + "a" * 1001 + " TLS_REQCERT never #",
    },
    "nginx": {
        "port": "65535",
        "content": "folder",
        "upstream": f"https://{NAME}:65535",
        "listen": "[" + IPV6[:-3] + "{:03}]",
        "workers": "auto",
    },
    "openldap": {
        "suffix": "dc=" + "a" * 509,
        "bind_dn": "cn=" + "b" * 1000 + ",dc=a credentials=x#",
        "primary": f"ldaps://{NAME}:65535",
        "tls": "starttls",
        "rid": "999",
    },
}
"""For each parameter the longest value, or the longest item of a list, with a place for its number."""
LONGEST = {**LONGEST, "openldap-secondary": LONGEST["openldap"]}

Make = Callable[[Random], str]


def _ipv4(random: Random) -> str:
    return str(IPv4Address(random.getrandbits(32)))


def _ipv6(random: Random) -> str:
    address = IPv6Address(random.choice([random.getrandbits(128), random.getrandbits(16), 1 << 127]))
    return random.choice([address.compressed, address.exploded])


def _ip(random: Random) -> str:
    return random.choice([_ipv4, _ipv6])(random)


def _domain(random: Random) -> str:
    letters = "abcXYZ019_-"
    labels = ["".join(random.choices(letters, k=random.choice([1, 2, 63]))) for _ in range(random.randint(1, 5))]
    return ".".join(f"{label[:-1]}z" for label in labels)


def _host(random: Random) -> str:
    return random.choice([_ip, _domain])(random)


def _port(random: Random) -> str:
    return str(random.choice([0, 1, 80, 65535, 65536, random.randrange(70000)]))


def _uri(scheme: str) -> Make:
    def make(random: Random) -> str:
        host = random.choice([_ipv4, _domain, lambda drawn: f"[{_ipv6(drawn)}]"])(random)
        port = random.choice(["", f":{_port(random)}"])
        return f"{scheme}{random.choice(['', 's'])}://{host}{port}"

    return make


def _text(random: Random) -> str:
    return "".join(random.choices("abc=, .#;{}$%'äß😀-", k=random.choice([1, 5, 50, 500])))


def _dn(random: Random) -> str:
    return f"cn={_text(random)}"


def _word(*words: str) -> Make:
    return lambda random: random.choice(words)


def _network(random: Random) -> str:
    return random.choice([_ip(random), f"{_ip(random)}/{random.choice([0, 8, 32, 33, 64, 128, 129])}"])


def _dhcp_range(random: Random) -> str:
    return ",".join(
        [_ip(random), *random.choices(["static", _ip(random), "12h", "ra-only", "64"], k=random.randint(1, 6))]
    )


def _dhcp_host(random: Random) -> str:
    mac = ":".join(f"{random.getrandbits(8):02x}" for _ in range(6))
    return ",".join([mac, *random.choices([_ipv4(random), _domain(random)[:63], "12h"], k=random.randint(0, 3))])


RANDOM: Mapping[str, Mapping[str, Make]] = {
    "chrony": {
        "kind": _word("primary", "secondary"),
        "servers": _host,
        "peers": _host,
        "primary": _host,
        "allow": _network,
        "stratum": lambda random: str(random.randrange(17)),
        "listen": _word("all", "service"),
    },
    "dnsmasq": {
        "upstream": _ip,
        "domain": _domain,
        "hosts": lambda random: f"{_domain(random)}={_ip(random)}",
        "port": _port,
        "dhcp_range": _dhcp_range,
        "dhcp_router": _ipv4,
        "dhcp_hosts": _dhcp_host,
    },
    "ldap-client": {"ldap_uris": _uri("ldap"), "ldap_base": _dn},
    "nginx": {
        "port": _port,
        "content": _word("page", "folder", "proxy"),
        "upstream": _uri("http"),
        "listen": lambda random: random.choice(["*", _ipv4(random), f"[{_ipv6(random)}]"]),
        "workers": _word("auto", "1", "99", "100"),
    },
    "openldap": {
        "suffix": _dn,
        "bind_dn": _dn,
        "primary": _uri("ldap"),
        "tls": _word("starttls", "none"),
        "rid": lambda random: str(random.randrange(1100)),
    },
}
"""For each parameter a random value, or a random item of a list; most are allowed."""
RANDOM = {**RANDOM, "openldap-secondary": RANDOM["openldap"]}
