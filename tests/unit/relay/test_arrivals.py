"""Telling those who wait that mail has come, and nobody else."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest
from structlog.testing import capture_logs

from gateway.errors import LimitExceeded
from gateway.ids import EnvelopeId, EthAddress
from gateway.relay.arrivals import WAITING_PER_MAILBOX, Arrivals
from gateway.store.mailbox import Folder, StoredEnvelope
from tests.integration.store.values import BOB_ADDRESS, address, envelope

CAROL_ADDRESS = address("carol")


def mail(number: int = 1, *, to: EthAddress = BOB_ADDRESS, folder: Folder = Folder.INBOX) -> StoredEnvelope:
    return envelope(number, recipient=to, folder=folder)


def test_listeners_hear_of_every_envelope_in_order() -> None:
    arrivals, heard = Arrivals(), list[tuple[str, EnvelopeId]]()
    arrivals.announce(mail(0))
    for name in "ab":
        arrivals.listen(lambda each, name=name: heard.append((name, each.id)))  # type: ignore[misc]
    for number in (1, 2):
        arrivals.announce(mail(number, to=(BOB_ADDRESS, CAROL_ADDRESS)[number % 2]))
    assert heard == [(name, mail(number).id) for number in (1, 2) for name in "ab"]


def test_a_stranger_s_mail_is_announced_to_nobody() -> None:
    """Message requests wait quietly: that is what they are for."""
    arrivals, heard = Arrivals(), list[StoredEnvelope]()
    arrivals.listen(heard.append)
    with arrivals.waiting(BOB_ADDRESS) as arrived:
        arrivals.announce(mail(folder=Folder.REQUESTS))
        assert not arrived.is_set()
    assert heard == []


def test_a_listener_that_fails_costs_nobody_else_anything() -> None:
    arrivals, heard = Arrivals(), list[StoredEnvelope]()

    def broken(_: StoredEnvelope) -> None:
        raise ZeroDivisionError

    arrivals.listen(broken)
    arrivals.listen(heard.append)
    with arrivals.waiting(BOB_ADDRESS) as arrived, capture_logs() as logs:
        arrivals.announce(mail())
        assert arrived.is_set()
    assert heard == [mail()]
    assert [entry["event"] for entry in logs] == ["arrival.listener_failed"]
    assert "body of 1" not in str(logs)


def test_everybody_who_waits_for_this_mailbox_is_woken() -> None:
    arrivals = Arrivals()
    with (
        arrivals.waiting(BOB_ADDRESS) as one,
        arrivals.waiting(BOB_ADDRESS) as two,
        arrivals.waiting(CAROL_ADDRESS) as other,
    ):
        arrivals.announce(mail())
        assert (one.is_set(), two.is_set(), other.is_set()) == (True, True, False)
        one.clear()
        arrivals.announce(mail(2))
        assert one.is_set(), "and woken again"


def test_who_waits_no_longer_is_forgotten() -> None:
    arrivals = Arrivals()
    with arrivals.waiting(BOB_ADDRESS) as arrived:
        pass
    arrivals.announce(mail())
    assert not arrived.is_set()
    with pytest.raises(ZeroDivisionError), arrivals.waiting(BOB_ADDRESS):
        raise ZeroDivisionError
    assert arrivals._waiting == {}


@pytest.mark.weakness(15)
def test_only_so_many_wait_for_one_mailbox() -> None:
    """And each place is free again when its request is over."""
    arrivals = Arrivals()
    for _ in range(2):
        with ExitStack() as stack:
            for _ in range(WAITING_PER_MAILBOX):
                stack.enter_context(arrivals.waiting(BOB_ADDRESS))
            with pytest.raises(LimitExceeded), arrivals.waiting(BOB_ADDRESS):
                pass
            with arrivals.waiting(CAROL_ADDRESS):
                pass
    assert arrivals._waiting == {}


def test_a_node_that_stops_lets_everybody_go() -> None:
    arrivals = Arrivals()
    with arrivals.waiting(BOB_ADDRESS) as before:
        assert not arrivals.closed
        arrivals.close()
        with arrivals.waiting(CAROL_ADDRESS) as after:
            assert (before.is_set(), after.is_set(), arrivals.closed) == (True, True, True)


async def test_what_comes_between_the_look_and_the_wait_is_not_missed() -> None:
    """The order that is asked of callers: begin to wait, look, then wait."""
    arrivals = Arrivals()
    with arrivals.waiting(BOB_ADDRESS) as arrived:
        arrived.clear()
        arrivals.announce(mail())  # after the look
        async with asyncio.timeout(60):
            await arrived.wait()
