"""The list of addresses that nobody may send us to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ens.hosts import is_private, is_public, may_connect, parse_ip


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.216.34", "192.0.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450::1"],
)
def test_public(address: str) -> None:
    assert is_public(ip_address(address))
    assert not is_private(ip_address(address))
    assert may_connect(ip_address(address), allow_private=False)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:1.1.1.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::101:101",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:7f00:1::",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_not_public(address: str) -> None:
    assert not is_public(ip_address(address))
    assert not may_connect(ip_address(address), allow_private=False)


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("192.168.0.1", True),
        ("172.20.0.1", True),
        ("100.64.0.1", True),
        ("::1", True),
        ("fd00::1", True),
        ("169.254.169.254", False),
        ("fe80::1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("224.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("255.255.255.255", False),
    ],
)
def test_what_trials_permit(address: str, private: bool) -> None:
    assert may_connect(ip_address(address), allow_private=True) is private


@given(st.integers(0, 2**32 - 1))
def test_public_is_never_wider_than_the_library_thinks(number: int) -> None:
    address = IPv4Address(number)
    assert not is_public(address) or address.is_global


@given(st.integers(0, 2**128 - 1) | st.integers(0x2000 << 112, 0x3FFF << 112))
def test_public_is_never_wider_than_the_library_thinks_in_ipv6(number: int) -> None:
    address = IPv6Address(number)
    assert not is_public(address) or address.is_global


def test_addresses_of_a_name_server() -> None:
    assert parse_ip("127.0.0.1") == IPv4Address("127.0.0.1")
    assert parse_ip("::1") == IPv6Address("::1")
    for text in ("fe80::1%eth0", "1.1.1.1%1", "localhost", "", "1.1", "0x7f000001", "127.0.0.01"):
        assert parse_ip(text) is None
