"""Events of a network as jobs: grouped by what belongs together, written and read back, handed over one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bridge import events as events_module
from gateway.bridge.events import Events
from gateway.bridge.jobs import EVENTS_BYTES, decode_events, encode_events, event_groups, event_job
from gateway.errors import InvalidInput
from gateway.ids import LaneKey, Network
from gateway.sdk import Adapter, EventOutcome, Handled, NativeEvent, Parked, Retry
from gateway.store.jobs import Job, JobState
from gateway.store.queue import AddHeld
from gateway.work.results import Done, Later, Result

NETWORK = Network("matrix")
texts = st.text(st.characters(codec="utf-8"), max_size=8)
written = st.lists(st.tuples(texts, st.binary(max_size=20)), min_size=1, max_size=5)


@given(texts, written)
def test_what_was_written_is_read_back(lane: str, parts: list[tuple[str, bytes]]) -> None:
    events = [NativeEvent(lane, key, payload) for key, payload in parts]
    assert decode_events(encode_events(events)) == events


@given(st.binary(max_size=40))
def test_nothing_else_is_read(payload: bytes) -> None:
    try:
        found = decode_events(payload)
    except InvalidInput:
        return
    assert decode_events(encode_events(found)) == found


def test_events_of_one_lane_go_together_in_their_order() -> None:
    events = [NativeEvent("ab"[number % 2], str(number), b"x") for number in range(6)]
    one, two = (event_job(NETWORK, group, now=1, expires_at=2) for group in event_groups(events))
    assert one.lane != two.lane
    assert [event.key for event in decode_events(one.payload)] == ["0", "2", "4"]
    assert [event.key for event in decode_events(two.payload)] == ["1", "3", "5"]


def test_many_bytes_are_several_jobs_of_one_lane() -> None:
    events = [NativeEvent("a", str(number), b"x" * (EVENTS_BYTES // 3)) for number in range(7)]
    jobs = [event_job(NETWORK, group, now=1, expires_at=2) for group in event_groups(events)]
    assert len({job.lane for job in jobs}) == 1
    assert [event.key for job in jobs for event in decode_events(job.payload)] == [str(number) for number in range(7)]
    assert len(jobs) == 3


class Scripted:
    """An adapter that says of each event what a test wants."""

    def __init__(self, outcomes: Mapping[str, EventOutcome]) -> None:
        self.outcomes = dict(outcomes)
        self.seen: list[str] = []

    async def handle(self, event: NativeEvent) -> EventOutcome:
        self.seen.append(event.key)
        return self.outcomes.get(event.key, Handled())


async def run(adapter: Scripted, keys: str) -> tuple[Result, list[list[str]]]:
    """What becomes of a job with these events, and what was noted on the way."""
    payload = encode_events([NativeEvent("a", key, key.encode()) for key in keys])
    job = Job(1, LaneKey("matrix:a"), "event", payload, None, JobState.READY, 0, "", 1, 2)
    noted: list[list[str]] = []

    async def checkpoint(rest: bytes) -> None:
        noted.append([event.key for event in decode_events(rest)])

    adapters = cast("Mapping[Network, Adapter]", {NETWORK: adapter})
    return await Events(adapters, lambda: 0).handle(job, checkpoint), noted


async def test_a_parked_event_is_set_aside_alone_and_the_rest_goes_on() -> None:
    adapter = Scripted({"b": Parked("unreadable")})
    result, noted = await run(adapter, "abc")
    assert adapter.seen == ["a", "b", "c"]
    assert isinstance(result, Done)
    (held,) = result.ops
    assert isinstance(held, AddHeld)
    assert (held.reason, [event.key for event in decode_events(held.job.payload)]) == ("unreadable", ["b"])
    assert noted == []


async def test_a_retry_notes_what_is_left_and_forgets_no_parked_event() -> None:
    adapter = Scripted({"b": Parked("unreadable"), "d": Retry("later", 2.5)})
    result, noted = await run(adapter, "abcde")
    assert result == Later("later", 2500)
    assert noted == [["b", "d", "e"]]


async def test_a_retry_of_the_first_event_notes_nothing() -> None:
    result, noted = await run(Scripted({"a": Retry("later")}), "ab")
    assert result == Later("later", None)
    assert noted == []


async def test_progress_is_noted_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "NOTE_MS", -1)
    result, noted = await run(Scripted({}), "abc")
    assert isinstance(result, Done)
    assert noted == [["b", "c"], ["c"]]


async def test_without_the_adapter_they_wait() -> None:
    payload = encode_events([NativeEvent("a", "a", b"")])
    job = Job(1, LaneKey("matrix:a"), "event", payload, None, JobState.READY, 0, "", 1, 2)

    async def checkpoint(_rest: bytes) -> None:
        raise AssertionError

    adapters: Any = {}
    assert isinstance(await Events(adapters, lambda: 0).handle(job, checkpoint), Later)
