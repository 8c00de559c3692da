"""A refusal of another service reaches the writer in words, and nothing counts as sent that was not taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.ids import EnsName, NativeId
from gateway.lifecycle import now_ms
from gateway.sdk import DeliveryState
from gateway.store.jobs import JobState
from gateway.store.queue import QueueList
from gateway.store.status import Status, StatusOf
from tests.integration.bridge.scripted import BOB, ScriptedService, person_at, refusal
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house
from tests.support.waiting import until


async def status_of(house: House, recipient: EnsName) -> Status | None:
    return await house.gateway.store.read(StatusOf(PaperAdapter.name, NativeId("n1"), recipient))


@pytest.mark.weakness(9)
@pytest.mark.parametrize(
    ("http_status", "code", "words"),
    [
        (403, -32010, "does not fit the recipient's rules"),
        (200, -32010, "does not fit the recipient's rules"),
        (400, -32010.0, "does not fit the recipient's rules"),
        (413, -32011, "larger than the recipient's delivery service takes"),
        (404, -32001, "does not know the recipient"),
        (401, -32003, "could not make sure that the message is from you"),
        (400, -32000, "refused the message"),
        (400, "EBUSY", "refused the message"),
    ],
)
async def test_each_code_has_words(house: House, paper: PaperAdapter, http_status: int, code: Any, words: str) -> None:
    # What is no code is no JSON-RPC error either, so that both spellings are tried.
    service = ScriptedService(answers=[(http_status, refusal(code, "because I say so"))] * 2)
    async with service.at(house.chain, "strict.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n1")
        report = await paper.wait_report(DeliveryState.FAILED)
        assert (report.native_id, report.recipient) == ("n1", carol.name)
        assert words in report.reason
        assert 'It said: "because I say so"' in report.reason
        found = await status_of(house, carol.name)
        assert found is not None
        assert (found.state, found.reason) == (DeliveryState.FAILED, report.reason.partition(" [trace ")[0])


async def test_what_a_service_says_is_cleaned_before_it_is_shown(house: House, paper: PaperAdapter) -> None:
    service = ScriptedService(answers=[(403, refusal(-32010, 'line\r\none\0\u202e "quoted" ' + "x" * 20_000))])
    async with service.at(house.chain, "loud.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n1")
        report = await paper.wait_report(DeliveryState.FAILED)
        assert report.reason.isprintable()
        assert "\"line one 'quoted' xxx" in report.reason
        assert len(report.reason) < 500


async def test_a_refusal_without_a_word_says_that(house: House, paper: PaperAdapter) -> None:
    service = ScriptedService(answers=[(404, "")])
    async with service.at(house.chain, "gone.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n1")
        report = await paper.wait_report(DeliveryState.FAILED)
        assert report.reason.partition(" [trace ")[0].endswith("It gave no reason (HTTP 404).")


async def test_a_full_mailbox_is_tried_until_the_time_is_over_and_then_told(tmp_path: Path) -> None:
    shift, paper = 0, PaperAdapter()
    service = ScriptedService(answers=[(429, refusal(-32005, "no room for you"))] * 1000)
    async with (
        running_house(tmp_path, adapters={paper.name: paper}, clock=lambda: now_ms() + shift) as house,
        service.at(house.chain, "full.eth") as name,
    ):
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n1")
        await service.wait_taken(2)
        assert paper.reports == []
        assert await status_of(house, carol.name) is None, "not sent, and not failed"
        shift = 31 * 24 * 3600 * 1000
        report = await paper.wait_report(DeliveryState.FAILED)
        assert "in time" in report.reason
        assert "mailbox is full" in report.reason
        assert "no room for you" in report.reason


@pytest.mark.parametrize("answer", [(500, "OK"), (503, refusal(-32010)), (200, refusal(-32603)), (302, ""), (408, "")])
async def test_nothing_counts_as_sent_before_a_service_took_it(
    house: House, paper: PaperAdapter, answer: tuple[int, Any]
) -> None:
    service = ScriptedService(answers=[answer] * 1000)
    async with service.at(house.chain, "never.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n1")
        await service.wait_taken(1)

        async def judged() -> bool | None:
            jobs = await house.gateway.store.read(QueueList(JobState.READY, 10))
            return any(job.attempts for job in jobs) or bool(paper.reports) or None

        await until(judged)
        found = await status_of(house, carol.name)
        assert found is None or found.state == DeliveryState.FAILED
        assert DeliveryState.SENT not in {report.state for report in paper.reports}


@pytest.mark.parametrize(
    "answer", [(200, "OK"), (201, ""), (204, ""), (200, {"jsonrpc": "2.0", "id": 1, "result": "OK"})]
)
async def test_every_2xx_without_an_error_is_sent(house: House, paper: PaperAdapter, answer: tuple[int, Any]) -> None:
    service = ScriptedService(answers=[answer])
    async with service.at(house.chain, "kind.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n1")
        found = await until(lambda: status_of(house, carol.name))
        assert (found.state, found.reason) == (DeliveryState.SENT, "")
        assert len(service.taken) == 1
