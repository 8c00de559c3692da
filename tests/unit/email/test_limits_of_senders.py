"""Whose address is believed, and from where: both must hold."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from adapters.email.admission import SenderPolicy
from adapters.email.handler import Client, Role
from adapters.email.settings import EmailSettings
from gateway.sdk import CanonicalId

POLICY = SenderPolicy(
    EmailSettings(
        domain="gw.example",
        allowed_senders=("bob@example.net", "example.org"),
        allowed_networks=(ip_network("10.1.0.0/16"), ip_network("2001:db8::/32")),
    )
)


def admits(client: str, sender: str) -> bool:
    return POLICY.admits(Client(Role.MX, client, None, False), CanonicalId(sender))


@pytest.mark.parametrize("client", ["10.1.0.1", "10.1.255.255", "::ffff:10.1.2.3", "2001:db8::1"])
@pytest.mark.parametrize("sender", ["bob@example.net", "anybody@example.org"])
def test_listed_and_near(client: str, sender: str) -> None:
    assert admits(client, sender)


@pytest.mark.parametrize(
    "client", ["10.2.0.1", "127.0.0.1", "::1", "2001:db9::1", "::ffff:10.2.0.1", "", "unix", "10.1.0.1.example.net"]
)
def test_listed_but_far(client: str) -> None:
    assert not admits(client, "bob@example.net")


@pytest.mark.parametrize(
    "sender",
    [
        "eve@example.net",
        "bob@example.net.example.com",
        "bob@sub.example.org",
        '"bob@example.net"@example.com',
        '"x@example.org"@example.com',
        "example.org@example.com",
        "bob@example.ne",
    ],
)
def test_near_but_not_listed(sender: str) -> None:
    assert not admits("10.1.0.1", sender)
