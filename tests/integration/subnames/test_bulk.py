"""Imports of many names: all or nothing, or row by row, with a sentence for what is wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.errors import NameRefused
from gateway.ids import EnsName
from gateway.offload import Offload
from gateway.store import Store
from gateway.store.audit import BEGINNING, AuditPage, first_break
from gateway.store.names import ListNames, NameNamed, NameRow, Origin, PutName
from gateway.store.op import Op
from gateway.store.reservations import Hold, PutReservation, Reservation
from gateway.subnames import bulk
from gateway.subnames.bulk import Bulk, Import, Mode, Source
from gateway.subnames.names_file import FileFormat, RowError, read_names
from tests.integration.store.values import DAY, NOW, address, name_row

GW = EnsName("gw.eth")
ALL = Import("operator")
EACH = Import("operator", Mode.EACH)


def check(name: EnsName) -> None:
    if name.startswith("rude"):
        raise NameRefused("a rude word")


def look(name: EnsName) -> str:
    return name.replace("0", "o")


@pytest.fixture
def make(store: Store) -> Callable[..., Bulk]:
    def made(**changes: Any) -> Bulk:
        given = {
            "store": store,
            "clock": lambda: NOW,
            "offload": Offload(),
            "check": check,
            "skeleton_of": look,
            "rest_ms": 30 * DAY,
        }
        return Bulk(**{**given, **changes})

    return made


def file(*labels: str, url: str = "x", owner: str = "") -> Source:
    lines = "".join(f"{label}.gw.eth,{owner},{url}\n" for label in labels)
    data = f"name,owner,text:url\n{lines}".encode()
    return lambda: read_names(io.BytesIO(data), FileFormat.CSV, GW, NOW)


async def names_in(store: Store) -> int:
    return len(await store.read(ListNames(GW, 10_000)))


async def test_a_file_becomes_names_with_a_log(make: Callable[..., Bulk], store: Store) -> None:
    seen: list[int] = []
    labels = [f"n{number}" for number in range(1201)]
    report = await make().apply(file(*labels), ALL, progress=seen.append)
    assert (report.rows, report.new, report.failed, report.errors, report.written) == (1201, 1201, 0, (), True)
    assert seen == [500, 1000, 1201]
    assert await names_in(store) == 1201
    row = await store.read(NameNamed(EnsName("n10.gw.eth")))
    assert row is not None
    assert (row.texts, row.origin, row.skeleton) == ({"url": "x"}, Origin.IMPORT, "n1o.gw.eth")
    log = await store.read(AuditPage(0, 9999))
    assert len(log) == 1201
    assert first_break(BEGINNING, log) is None
    assert (log[10].entry.subject, log[10].entry.actor, log[10].entry.action) == (row.name, "operator", "name.imported")
    again = await make().apply(file(*labels), ALL)
    assert (again.new, again.same, again.failed) == (0, 1201, 0)
    assert len(await store.read(AuditPage(0, 9999))) == 1201


async def test_all_or_nothing(make: Callable[..., Bulk], store: Store) -> None:
    labels = [f"n{number}" for number in range(700)]
    report = await make().apply(file(*labels, "rude"), ALL)
    assert (report.rows, report.failed, report.written) == (701, 1, False)
    assert report.errors == (RowError(702, "rude.gw.eth", "a rude word"),)
    assert await names_in(store) == 0
    report = await make().apply(file(*labels, "rude"), EACH)
    assert (report.new, report.failed, report.written) == (700, 1, True)
    assert await names_in(store) == 700


async def test_a_dry_run_writes_nothing_and_foresees_everything(make: Callable[..., Bulk], store: Store) -> None:
    await store.commit(PutName(name_row("used.gw.eth", skeleton="used.gw.eth")))
    await store.commit(PutName(name_row("rest.gw.eth", released_at=NOW - DAY)))
    await store.commit(PutName(name_row("rested.gw.eth", released_at=NOW - 31 * DAY)))
    for label, kind in (("kept", Hold.RESERVED), ("never", Hold.BLOCKED), ("used", Hold.BLOCKED)):
        await store.commit(PutReservation(Reservation(EnsName(f"{label}.gw.eth"), kind, None, "", NOW)))
    source = file("used", "rest", "rested", "kept", "never", "o0", "0o", "rude", "UP", "new")
    expected = [
        (2, "used.gw.eth", "used.gw.eth is taken"),
        (3, "rest.gw.eth", "rest.gw.eth was given up a short time ago and rests"),
        (5, "kept.gw.eth", "kept.gw.eth is reserved"),
        (6, "never.gw.eth", "never.gw.eth is blocked"),
        (8, "0o.gw.eth", "0o.gw.eth looks like o0.gw.eth"),
        (9, "rude.gw.eth", "a rude word"),
        (10, "UP.gw.eth", "the name is not in its normal form"),
    ]
    dry = await make().check(source, EACH)
    assert [(error.line, error.name, error.sentence) for error in dry.errors] == expected
    assert (dry.rows, dry.new, dry.failed, dry.written) == (10, 3, 7, False)
    assert await names_in(store) == 1
    assert await store.read(AuditPage(0, 9)) == []
    real = await make().apply(source, EACH)
    assert (real.new, real.failed, real.errors) == (dry.new, dry.failed, dry.errors)
    assert await names_in(store) == 4
    freely = Import("operator", Mode.EACH, overwrite=True, reserved_too=True, alike_too=True)
    report = await make().apply(source, freely)
    assert (report.new, report.changed, report.same, report.failed) == (2, 1, 3, 4)


async def test_a_name_that_looks_like_one_in_use(make: Callable[..., Bulk], store: Store) -> None:
    await make().apply(file("bob", "alone"), ALL)
    report = await make().apply(file("b0b"), ALL)
    assert [error.sentence for error in report.errors] == ["b0b.gw.eth looks like bob.gw.eth"]


async def test_a_reserved_name_is_its_holder_s(make: Callable[..., Bulk], store: Store) -> None:
    holder = address("ann")
    await store.commit(PutReservation(Reservation(EnsName("ann.gw.eth"), Hold.RESERVED, holder, "", NOW)))
    assert (await make().apply(file("ann", owner=address("bob")), ALL)).failed == 1
    assert (await make().apply(file("ann", owner=holder), ALL)).new == 1


async def test_somebody_who_is_quicker_stops_all_or_nothing(
    make: Callable[..., Bulk], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is taken between the check of the whole file and the second chunk."""
    monkeypatch.setattr(bulk, "CHUNK", 2)

    class Quick:
        """Takes a name while the first chunk is written."""

        def apply(self, conn: Any) -> None:
            PutName(name_row("d.gw.eth")).apply(conn)

    def tell(new: Sequence[NameRow], changed: Sequence[NameRow]) -> Sequence[Op[Any]]:
        return (Quick(),)

    report = await make(tell=tell).apply(file("a", "b", "c", "d"), ALL)
    assert (report.new, report.failed) == (2, 1)
    assert "d.gw.eth" in report.errors[0].sentence
    assert await store.read(NameNamed(EnsName("c.gw.eth"))) is None


async def test_news_go_with_what_is_written(make: Callable[..., Bulk], store: Store) -> None:
    told: list[tuple[list[str], list[str]]] = []

    def tell(new: Sequence[NameRow], changed: Sequence[NameRow]) -> Sequence[Op[Any]]:
        told.append(([row.name for row in new], [row.name for row in changed]))
        return ()

    later = make(tell=tell, clock=lambda: NOW + 5)
    await make(tell=tell).apply(file("a", "b"), ALL)
    await later.apply(file("a", "c", url="y"), Import("key:1", Mode.EACH, overwrite=True))
    await later.apply(file("a", url="y"), ALL)
    assert told == [(["a.gw.eth", "b.gw.eth"], []), (["c.gw.eth"], ["a.gw.eth"])]
    (_, _, entry, *_) = await store.read(AuditPage(0, 9))
    assert json.loads(entry.entry.detail) == {"owner": None, "sequence": 1}
    assert entry.entry.actor == "key:1"


async def test_sentences_are_bounded(make: Callable[..., Bulk], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MAX_ERRORS", 3)
    report = await make().check(file(*(f"rude{number}" for number in range(10))), ALL)
    assert (report.failed, len(report.errors)) == (10, 3)
