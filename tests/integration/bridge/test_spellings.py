"""Two generations of the reference refuse each other's envelopes: which spelling goes to whom, what is remembered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Gateway
from gateway.bridge.spellings import FRONT_SECONDS, MAX_URL_BYTES, NEWER_FIRST, OLDER_FIRST, Spellings
from gateway.dm3.envelope import Dialect, hash_of_encrypted, parse_envelope
from gateway.ids import EnsName
from gateway.lifecycle import now_ms
from gateway.sdk import DeliveryState
from gateway.store import Store
from gateway.store.messagemap import NativeOf
from gateway.store.services import DIALECT_LIFE_MS, DialectOf, LearnDialect, LearnedDialect
from tests.integration.bridge.scripted import BAD_SCHEMA, BOB, ScriptedService, person_at, refusal
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house
from tests.support.waiting import until

NPM, DEVELOP = Dialect.NPM, Dialect.DEVELOP
NOW = 1_727_000_000_000


@dataclass
class Scene:
    """Bob writes to Carol, whose service is scripted."""

    house: House
    paper: PaperAdapter
    service: ScriptedService
    carol: EnsName
    url: str
    written: int = field(default=0)

    async def write(self, paper: PaperAdapter | None = None) -> None:
        """One more message, and wait until the service took it or its sender was told that it failed."""
        adapter = paper or self.paper
        self.written += 1
        native_id = f"n{self.written}"
        await adapter.write(BOB, self.carol, f"text {self.written}", native_id)

        async def over() -> bool | None:
            if any(report.native_id == native_id for report in adapter.reports):
                return True
            store = self.house.gateway.store
            sent = [hash_of_encrypted(parse_envelope(envelope).message) for envelope in self.service.taken]
            links = [link for digest in sent for link in await store.read(NativeOf(adapter.name, digest))]
            return any(link.native_id == native_id for link in links) or None

        await until(over)

    async def known(self) -> LearnedDialect | None:
        """What the database says."""
        return await self.house.gateway.store.read(DialectOf(self.url))


@dataclass
class Shift:
    """The house's clock."""

    by: int = 0

    def __call__(self) -> int:
        return now_ms() + self.by


@asynccontextmanager
async def scene(
    folder: Path, service: ScriptedService, *, store_url: str = "sqlite:///gateway.db", clock: Shift | None = None
) -> AsyncIterator[Scene]:
    paper = PaperAdapter()
    async with (
        running_house(folder, adapters={paper.name: paper}, store_url=store_url, clock=clock or Shift()) as house,
        service.at(house.chain, "old.eth") as name,
    ):
        carol = await person_at(house, name)
        profile = await house.profiles.delivery_service(name)
        yield Scene(house, paper, service, carol.name, profile.url)


@pytest.mark.weakness(8)
async def test_an_older_service_is_asked_wrongly_once(tmp_path: Path) -> None:
    async with scene(tmp_path, ScriptedService(knows=NPM)) as told:
        for _ in range(3):
            await told.write()
        assert told.service.spellings == [DEVELOP, NPM, NPM, NPM]
        known = await told.known()
        assert known is not None
        assert known.dialect is NPM
        assert told.paper.reports == []


@pytest.mark.weakness(8)
async def test_a_newer_service_never_sees_the_older_spelling(tmp_path: Path) -> None:
    async with scene(tmp_path, ScriptedService(knows=DEVELOP)) as told:
        await told.write()
        await told.write()
        assert told.service.spellings == [DEVELOP, DEVELOP]
        assert await told.known() is None, "only what differs from the first try is worth a row"


async def test_the_choice_survives_a_restart_on_either_database(tmp_path: Path, store_url: str) -> None:
    async with scene(tmp_path, ScriptedService(knows=NPM), store_url=store_url) as told:
        await told.write()
        assert told.service.spellings == [DEVELOP, NPM]
        await told.house.gateway.close()
        again = PaperAdapter()
        told.house.gateway = await Gateway.open(told.house.settings, {again.name: again})
        try:
            await told.house.gateway.start()
            await told.write(again)
            assert told.service.spellings == [DEVELOP, NPM, NPM]
        finally:
            await told.house.gateway.close()


async def test_after_a_week_the_newer_spelling_is_tried_again(tmp_path: Path) -> None:
    clock = Shift()
    async with scene(tmp_path, ScriptedService(knows=NPM), clock=clock) as told:
        await told.write()
        clock.by += DIALECT_LIFE_MS - 60_000
        await told.write()
        assert told.service.spellings == [DEVELOP, NPM, NPM]
        clock.by += 120_000
        await told.write()
        assert told.service.spellings[3:] == [DEVELOP, NPM], "and learned anew"
        await told.write()
        assert told.service.spellings[5:] == [NPM]


async def test_an_upgraded_service_is_noticed_and_the_choice_forgotten(tmp_path: Path) -> None:
    async with scene(tmp_path, ScriptedService(knows=NPM)) as told:
        await told.write()
        assert await told.known() is not None
        told.service.knows = DEVELOP
        await told.write()
        assert told.service.spellings[2:] == [NPM, DEVELOP]
        assert await told.known() is None
        await told.write()
        assert told.service.spellings[4:] == [DEVELOP]


@pytest.mark.weakness(9)
@pytest.mark.parametrize("known", [False, True])
async def test_a_service_that_refuses_both_teaches_nothing(tmp_path: Path, known: bool) -> None:
    """The reference's refusal of spam is as bare as that of a spelling."""
    async with scene(tmp_path, ScriptedService(knows=NPM)) as told:
        if known:
            await told.write()
        before, tries = await told.known(), len(told.service.taken)
        told.service.knows = None
        told.service.answers = [(400, ""), BAD_SCHEMA]
        await told.write()
        (report,) = told.paper.reports
        assert report.state is DeliveryState.FAILED
        assert "refused the message" in report.reason
        assert len(told.service.taken) == tries + 2
        assert await told.known() == before


@pytest.mark.weakness(9)
@pytest.mark.parametrize(
    "answer",
    [
        (400, refusal(-32010, "spam")),
        (400, refusal(-32602)),
        (200, refusal(-32000)),
        (403, ""),
        (404, ""),
        (413, ""),
        (401, {"error": "no"}),
    ],
    ids=str,
)
async def test_no_other_refusal_is_taken_for_one_of_the_spelling(tmp_path: Path, answer: tuple[int, Any]) -> None:
    async with scene(tmp_path, ScriptedService(answers=[answer])) as told:
        await told.write()
        assert told.service.spellings == [DEVELOP]
        assert await told.known() is None
        assert told.paper.reports[0].state is DeliveryState.FAILED


async def test_a_reason_given_to_the_second_spelling_is_told(tmp_path: Path) -> None:
    answers = [BAD_SCHEMA, (403, refusal(-32010, "a stranger"))]
    async with scene(tmp_path, ScriptedService(answers=answers)) as told:
        await told.write()
        assert told.service.spellings == [DEVELOP, NPM]
        assert "a stranger" in told.paper.reports[0].reason
        assert await told.known() is None


async def test_a_server_error_to_the_second_spelling_teaches_nothing_yet(tmp_path: Path) -> None:
    async with scene(tmp_path, ScriptedService(knows=NPM, answers=[(503, "")])) as told:
        await told.write()
        assert told.service.spellings == [DEVELOP, NPM, DEVELOP, NPM]
        assert len(set(told.service.taken)) == 2, "the same two envelopes"
        assert await told.known() is not None


# --- the memory alone -----------------------------------------------------------------------------------------------


async def commit(store: Store, spellings: Spellings, url: str, dialect: Dialect) -> None:
    await store.commit_all(*spellings.second_taken(url, dialect))


async def test_nodes_learn_from_each_other(store: Store) -> None:
    passed = 0.0
    one, other = (Spellings(store, lambda: NOW, lambda: passed) for _ in range(2))
    assert await one.order("https://a.example") == await other.order("https://a.example") == NEWER_FIRST
    await commit(store, one, "https://a.example", NPM)
    assert await one.order("https://a.example") == OLDER_FIRST
    assert await other.order("https://a.example") == NEWER_FIRST, "it has looked a moment ago"
    passed += FRONT_SECONDS + 1
    assert await other.order("https://a.example") == OLDER_FIRST
    await commit(store, other, "https://a.example", DEVELOP)
    assert await other.order("https://a.example") == NEWER_FIRST
    passed += FRONT_SECONDS + 1
    assert await one.order("https://a.example") == NEWER_FIRST
    assert await store.read(DialectOf("https://a.example")) is None


async def test_the_database_is_asked_once_in_a_while(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    read = store.read

    async def counted(query: Any) -> Any:
        asked.append(query)
        return await read(query)

    monkeypatch.setattr(store, "read", counted)
    passed = 0.0
    spellings = Spellings(store, lambda: NOW, lambda: passed)
    for _ in range(10):
        await spellings.order("https://a.example")
    assert len(asked) == 1
    passed += FRONT_SECONDS + 1
    await spellings.order("https://a.example")
    assert len(asked) == 2


@pytest.mark.parametrize(
    "url", ["https://a.example/" + "x" * MAX_URL_BYTES, "https://a.example/\0", "https://" + "ä" * 600]
)
async def test_a_url_that_is_no_key_is_not_remembered(store: Store, url: str) -> None:
    spellings = Spellings(store, lambda: NOW)
    assert spellings.second_taken(url, NPM) == ()
    assert await spellings.order(url) == NEWER_FIRST


async def test_a_row_of_a_wrong_clock_does_not_count(store: Store) -> None:
    await store.commit(LearnDialect("https://a.example", NPM, NOW + 3_600_000))
    assert await Spellings(store, lambda: NOW).order("https://a.example") == NEWER_FIRST
