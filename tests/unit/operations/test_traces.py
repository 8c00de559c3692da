"""Trace ids: the same on every node and at every try, and let through by what hides people from the log."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import traces
from gateway.bridge.jobs import JobKind, OutboundJob, trace_of_outbound, traced
from gateway.dm3.message import MessageType
from gateway.ids import EnsName, LaneKey, NativeId, Network
from gateway.observability import hide_people, hide_secrets
from gateway.store.jobs import NewJob

BOB, ALICE = EnsName("bob.example.org.paper.gw.eth"), EnsName("alice.eth")


def work(**changes: object) -> OutboundJob:
    given_ = {"network": Network("paper"), "sender": BOB, "recipient": ALICE, "type": MessageType.NEW, "text": "hi"}
    return OutboundJob(**{**given_, "sent_at": 1, "native_id": NativeId("n1"), **changes})  # type: ignore[arg-type]


def test_a_message_keeps_its_trace_whatever_becomes_of_it() -> None:
    trace = trace_of_outbound(work())
    assert traces.is_trace(trace)
    assert trace == trace_of_outbound(work(text="edited meanwhile", sent_at=2, sealed={}))
    others = {trace_of_outbound(work(**{key: value})) for key, value in OTHERS.items()}
    assert len({trace, *others}) == len(OTHERS) + 1


OTHERS = {
    "network": Network("other"),
    "sender": EnsName("ann.example.org.paper.gw.eth"),
    "recipient": EnsName("carol.eth"),
    "native_id": NativeId("n2"),
}


def test_receipts_and_notices_have_that_of_what_they_are_about() -> None:
    about = traces.of_envelope("0x" + "ab" * 32)
    assert trace_of_outbound(work(native_id=None, about=about)) == about
    assert traces.is_trace(trace_of_outbound(work(native_id=None)))


def test_only_jobs_of_the_bridge_are_told_it() -> None:
    """The relay's own jobs have payloads of their own."""
    trace = traces.of_work("x")
    for kind, payload in ((JobKind.INBOUND, trace.encode()), ("notify", b"{}")):
        job = NewJob(LaneKey("paper:1"), kind, b"" if kind == JobKind.INBOUND else b"{}", 1, 2)
        assert traced(job, trace).payload == payload


@pytest.mark.parametrize("payload", [b"", b"0123456789AB", b"0123456789abc", b"\xff" * 12])
def test_a_payload_that_is_no_trace_is_not_one(payload: bytes) -> None:
    assert not traces.is_trace(payload.decode("ascii", "replace"))


@pytest.mark.attack(42)
@given(st.text())
def test_whatever_it_is_made_of_it_is_twelve_digits_and_stays_in_the_log(text: str) -> None:
    trace = traces.of_envelope(text)
    assert traces.is_trace(trace)
    event = {"event": "x", "trace": trace, "_from_structlog": True}
    assert hide_people(None, "", hide_secrets(None, "", event))["trace"] == trace


async def test_it_stays_with_its_task() -> None:
    async def serve(key: str) -> traces.TraceId | None:
        traces.bind(traces.of_work(key))
        await asyncio.sleep(0)
        return traces.current()

    assert list(await asyncio.gather(serve("a"), serve("b"))) == [traces.of_work("a"), traces.of_work("b")]
    assert traces.current() is None
