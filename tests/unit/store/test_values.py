"""Small pure parts: lane names, paths of names, the merging and waking abilities of operations."""

from __future__ import annotations

import asyncio
from dataclasses import fields, is_dataclass
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ids import EnvelopeId, LaneKey, Network
from gateway.store import (
    aliases,
    identities,
    jobs,
    lanes,
    leases,
    mailbox,
    messagemap,
    names,
    once,
    queue,
    sessions,
    status,
)
from gateway.store.jobs import Enqueue, destination_of, lane_key
from gateway.store.leases import Fence, UnderLease
from gateway.store.mailbox import AcceptEnvelope
from gateway.store.names import path_of
from gateway.store.once import Once
from gateway.store.op import lanes_of, wakes
from gateway.store.wakeup import WorkSignal
from tests.integration.store.values import NOW, envelope, job, lane

MODULES = (aliases, identities, jobs, lanes, leases, mailbox, messagemap, names, once, queue, sessions, status)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_value_is_frozen_and_every_operation_is_one_or_the_other(module: ModuleType) -> None:
    values = [value for value in vars(module).values() if isinstance(value, type) and is_dataclass(value)]
    assert values
    for value in values:
        assert value.__dataclass_params__.frozen, value  # type: ignore[attr-defined]
        assert hasattr(value, "__slots__"), value
        assert not (hasattr(value, "apply") and hasattr(value, "run")), value


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_bytes_that_may_be_secret_are_not_represented(module: ModuleType) -> None:
    for value in vars(module).values():
        if isinstance(value, type) and is_dataclass(value):
            shown = {field.name for field in fields(value) if field.repr}
            assert shown.isdisjoint({"body", "payload", "sealed_salt", "digest"}), value


@given(st.text(st.characters(exclude_characters=":"), min_size=1), st.text())
def test_the_destination_of_a_lane(destination: str, conversation: str) -> None:
    assert destination_of(lane_key(destination, conversation)) == destination


def test_a_lane_without_a_colon_is_its_own_destination() -> None:
    assert destination_of(LaneKey("outbound")) == "outbound"


@given(st.lists(st.text(st.characters(exclude_characters="./"), min_size=1), min_size=1).map(".".join))
def test_paths_turn_names_round(name: str) -> None:
    assert path_of(path_of(name)) == name
    assert path_of("x." + name) == path_of(name) + ".x"


FENCE = Fence("expiry", "n1", 1, NOW)
ACCEPT = AcceptEnvelope(envelope(1), job(envelope=EnvelopeId("1")))


@pytest.mark.parametrize(
    ("op", "result", "expected"),
    [
        (Enqueue(job()), 1, True),
        (ACCEPT, True, True),
        (ACCEPT, False, False),
        (AcceptEnvelope(envelope(1)), True, False),
        (Once("s", "k", NOW, (ACCEPT,)), (True,), True),
        (Once("s", "k", NOW, (ACCEPT,)), (False,), False),
        (Once("s", "k", NOW, (ACCEPT,)), None, False),
        (Once("s", "k", NOW, ()), (), False),
        (UnderLease(FENCE, NOW, (aliases.PutAlias(Network("email"), "a", "b"), ACCEPT)), (None, True), True),
        (aliases.PutAlias(Network("email"), "a", "b"), None, False),
        (queue.ReviveJob(1), True, True),
        (queue.ReviveJob(1), False, False),
    ],
)
def test_who_wakes_the_workers(op: object, result: object, expected: bool) -> None:
    assert wakes(op, result) is expected  # type: ignore[arg-type]


def test_lanes_are_found_inside_composed_operations() -> None:
    inner = Once("s", "k", NOW, (Enqueue(job(lane=lane("a"))), Once("s", "l", NOW, (Enqueue(job(lane=lane("b"))),))))
    assert lanes_of(UnderLease(FENCE, NOW, (inner, ACCEPT))) == (lane("a"), lane("b"), lane("main"))
    assert lanes_of(AcceptEnvelope(envelope(1))) == ()


async def test_a_signal_that_was_set_before_the_wait_is_not_lost() -> None:
    signal = WorkSignal()
    signal.set()
    assert await signal.wait(30) is True
    assert await signal.wait(0) is False


async def test_a_signal_wakes_everybody_who_waits() -> None:
    signal = WorkSignal()
    waiting = [asyncio.create_task(signal.wait(30)) for _ in range(5)]
    await asyncio.sleep(0)
    signal.set()
    assert await asyncio.gather(*waiting) == [True] * 5
