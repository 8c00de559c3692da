"""The trace that somebody is told when a message failed leads through the log to everything that was done for it."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import AsyncIterator, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from gateway import traces
from gateway.dm3.message import MessageType
from gateway.ids import EnsName
from gateway.sdk import DeliveryState, Rejected, Retry
from gateway.work import results
from tests.support.adapters import PaperAdapter
from tests.support.house import House, rpc, running_house
from tests.support.waiting import mail_of

ANN, ANN_NAME = "ann@example.org", EnsName("ann.example.org.paper.gw.eth")
BOB = "bob@example.org"
TOLD = re.compile(r" \[trace ([0-9a-f]{12})\]\Z")

Events = list[MutableMapping[str, Any]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "BACK_OFF_SECONDS", (0.02,) * 6)


@pytest.fixture
def paper() -> PaperAdapter:
    return PaperAdapter()


@pytest.fixture
async def house(tmp_path: Path, paper: PaperAdapter) -> AsyncIterator[House]:
    async with running_house(tmp_path / "house", adapters={paper.name: paper}) as running:
        yield running


@pytest.fixture
def written(house: House, caplog: pytest.LogCaptureFixture) -> Iterator[Events]:
    """Every line of the log, those for debugging too, as it is before people are hidden in it."""
    caplog.set_level(logging.DEBUG)
    for name, module in list(sys.modules.items()):
        if name.startswith("gateway."):
            # A logger that an earlier test of this process has used keeps the way it wrote then.
            getattr(getattr(module, "log", None), "__dict__", {}).pop("bind", None)
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as events:
        yield events


def about(written: Events, trace: str) -> list[str]:
    """What was done, in its order."""
    return [str(each["event"]) for each in written if each.get("trace") == trace]


async def test_from_network_to_network(house: House, paper: PaperAdapter, written: Events) -> None:
    """Acceptance, way out, way in with a try that failed, refusal and the telling of it: one trace."""
    alice = await house.native("native.eth")
    await paper.write(ANN, alice.name, "a first one, to have a name", "n0")
    await mail_of(alice)
    paper.script.extend((Retry("not now"), Rejected("no such mailbox")))
    submitted = await paper.write(BOB, ANN_NAME, "hello", "n1")
    report = await paper.wait_report(DeliveryState.FAILED)
    found = TOLD.search(report.reason)
    assert found is not None
    assert found[1] == submitted.trace
    done = about(written, found[1])
    assert done[0] == "outgoing.accepted"
    steps = ["outgoing.accepted", "outbound.sent", "inbound.outcome", "job.later", "inbound.outcome", "inbound.refused"]
    assert [each for each in done if each in steps] == steps
    others = [each["trace"] for each in written if "trace" in each and each["trace"] != found[1]]
    assert others, "the first message has another"


async def test_from_a_native_client(house: House, paper: PaperAdapter, written: Events) -> None:
    """Whoever sent the envelope is told by a message, and finds the same trace from the hash that their client has."""
    alice = await house.native("native.eth")
    await paper.write(ANN, alice.name, "to have a name", "n0")
    await mail_of(alice)
    paper.script.extend((Retry("not now"), Rejected("no such mailbox")))
    sent = await alice.send(ANN_NAME, "good day")
    (notice,) = await mail_of(alice, kind=MessageType.REPLY)
    found = TOLD.search(notice.message.text or "")
    assert found is not None
    assert found[1] == traces.of_envelope(sent.message_hash)
    done = about(written, found[1])
    for step in ("envelope.accepted", "job.later", "inbound.refused"):
        assert step in done
    assert "outbound.sent" in done, "the notice itself is about that message, too"


async def test_what_was_refused_at_the_door_can_be_found(house: House, written: Events) -> None:
    """An envelope that says its message's hash and cannot be opened."""
    named = "0x" + "ab" * 32
    metadata = {"deliveryInformation": "sealed to nobody", "messageHash": named, "signature": "x", "version": "v1"}
    answer = await rpc(house, "dm3_submitMessage", {"message": "sealed", "metadata": metadata})
    assert answer.status_code == 400
    assert about(written, traces.of_envelope(named)) == ["rpc.refused"]
