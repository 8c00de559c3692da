"""Who is counted as one client: failed log-ins and open connections."""

from __future__ import annotations

from typing import cast

import pytest

from adapters.email.handler import Client, Connection, Handler, Role
from adapters.email.listener import FAILED_LOG_INS, Listener
from adapters.email.settings import EmailSettings

ONE, NEIGHBOUR, ELSEWHERE = "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"


def listener(**settings: int) -> Listener:
    """One that does not listen."""
    return Listener(EmailSettings.model_validate({"domain": "gw.example", **settings}), cast(Handler, None))


def a_connection() -> Connection:
    return cast(Connection, object())


def test_failed_log_ins_of_one_ipv6_network_are_those_of_one_client() -> None:
    """Somebody with 2^64 addresses would try as many passwords."""
    gate = listener()
    for number in range(FAILED_LOG_INS):
        assert gate.may_log_in(NEIGHBOUR)
        gate.log_in_failed(f"2001:db8:1:2::{number:x}")
    assert not gate.may_log_in(NEIGHBOUR)
    assert gate.may_log_in(ELSEWHERE)


def test_connections_of_one_ipv6_network_are_those_of_one_client() -> None:
    gate, first = listener(max_connections_per_address=1), a_connection()
    assert gate.enter(first, ONE)
    assert not gate.enter(a_connection(), NEIGHBOUR)
    assert gate.enter(a_connection(), ELSEWHERE)
    gate.leave(first, ONE)
    assert gate.enter(a_connection(), NEIGHBOUR)


@pytest.mark.parametrize(
    ("address", "asker"), [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), (ONE, "2001:db8:1:2::/64")]
)
def test_for_whom_a_client_is_counted(address: str, asker: str) -> None:
    assert Client(Role.MX, address, None, smtp_utf8=False).asker == asker
