"""A scrape of a node: what it counts, who may read it, and that nobody is in it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.ids import EnsName
from gateway.operations import figures
from gateway.sdk import CanonicalId, Rejected, Retry
from gateway.work import results
from tests.support.adapters import PaperAdapter
from tests.support.house import House, rpc, running_house
from tests.support.waiting import mail_of, until

BOB = CanonicalId("canarybob@example.org")
BOB_NAME = EnsName("canarybob.example.org.paper.gw.eth")
Values = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "BACK_OFF_SECONDS", (0.02,) * 6)
    monkeypatch.setattr(figures, "FRESH_SECONDS", 0.0)


@pytest.fixture
def paper() -> PaperAdapter:
    return PaperAdapter()


@pytest.fixture
async def house(tmp_path: Path, paper: PaperAdapter) -> AsyncIterator[House]:
    async with running_house(tmp_path / "house", adapters={paper.name: paper}) as running:
        yield running


async def scrape(house: House) -> Values:
    """Every sample by name and labels."""
    answer = await house.http.get(f"{house.url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def value(found: Values, name: str, **labels: str) -> float:
    """Of one series; 0 when there is none yet."""
    return found.get((f"dm3_gateway_{name}", frozenset(labels.items())), 0.0)


async def test_what_happens_to_messages_is_counted(house: House, paper: PaperAdapter) -> None:
    alice = await house.native("canaryalice.eth", "alice")
    await paper.write(BOB, alice.name, "hello", "n1")
    await paper.write(BOB, alice.name, "hello", "n1")
    await mail_of(alice)
    paper.script.extend((Retry("not now"), Rejected("no such mailbox")))
    await alice.send(BOB_NAME, "first")
    await alice.send(BOB_NAME, "second")
    await paper.wait_delivered(1)
    assert (await rpc(house, "dm3_submitMessage", {"message": "x", "metadata": {}})).status_code == 400
    assert (await house.http.get(f"{house.url}/ccip/0x{'12' * 20}/0x00.json")).status_code == 404

    async def settled() -> Values | None:
        found = await scrape(house)
        return found if value(found, "queue_jobs", destination="paper", state="ready") == 0 else None

    found = await until(settled, 20)
    assert value(found, "messages_accepted_total", door="paper") == 1
    assert value(found, "messages_repeated_total", door="paper") == 1
    assert value(found, "messages_accepted_total", door="relay") >= 3, "two of Alice's, and Bob's to her"
    assert value(found, "messages_refused_total", door="relay", reason="InvalidInput") == 1
    assert value(found, "jobs_retried_total", destination="paper", kind="inbound") == 1
    assert value(found, "jobs_delivered_total", destination="paper", kind="inbound") == 1, "a rejection is none"
    assert value(found, "delivery_seconds_count", destination="paper", kind="inbound") == 1
    assert value(found, "lookups_total", door="ccip", status="404") == 1
    assert value(found, "rpc_disagreements_total") == 0
    assert value(found, "commit_units_count") > 3
    assert value(found, "commit_units_sum") >= value(found, "commit_units_count")
    for component in ("store", "keys", "worker", "chain", "tombstones"):
        assert value(found, "component_up", component=component) == 1
    assert found["process_resident_memory_bytes", frozenset()] > 2**20


async def test_what_waits_is_seen_with_its_age(house: House, paper: PaperAdapter) -> None:
    alice = await house.native("canaryalice.eth", "alice")
    await paper.write(BOB, alice.name, "hello", "n1")
    await mail_of(alice)
    paper.script.append(Retry("come back later", 3600))
    await alice.send(BOB_NAME, "hello")

    async def waits() -> Values | None:
        found = await scrape(house)
        return found if value(found, "jobs_retried_total", destination="paper", kind="inbound") else None

    found = await until(waits, 20)
    assert value(found, "queue_jobs", destination="paper", state="ready") == 1
    assert 0 <= value(found, "queue_oldest_seconds", destination="paper", state="ready") < 60
    assert value(found, "queue_overdue_seconds") == 0, "its time has not come"
    assert value(found, "held_jobs") == 0


@pytest.mark.attack(41)
async def test_nobody_stands_in_a_scrape(house: House, paper: PaperAdapter) -> None:
    alice = await house.native("canaryalice.eth", "alice")
    await paper.write(BOB, alice.name, "canary text", "canary-id")
    await mail_of(alice)
    await rpc(house, "canaryMethod", "canaryname.eth")
    await house.http.get(f"{house.url}/ccip/canary")
    await house.http.get(f"{house.url}/canary")
    page = (await house.http.get(f"{house.url}/metrics", headers={"user-agent": "canary"})).text
    assert "canary" not in page.lower()
    assert alice.address not in page.lower()
    assert page.count("\n") < 400, "labels come from short lists"


async def test_a_proxy_does_not_open_the_door(house: House) -> None:
    """Behind one that the settings do not know, everybody comes from its address."""
    answer = await house.http.get(f"{house.url}/metrics", headers={"x-forwarded-for": "127.0.0.1"})
    assert (answer.status_code, set(answer.json())) == (403, {"error"})


@pytest.mark.parametrize(
    ("overrides", "token", "status"),
    [
        ({"DM3_GATEWAY__OPERATION__METRICS_NETWORKS": "[]"}, None, 403),
        ({"DM3_GATEWAY__OPERATION__METRICS_NETWORKS": '["10.0.0.0/8"]'}, None, 403),
        ({"DM3_GATEWAY__OPERATION__METRICS_TOKEN_FILE": "token"}, None, 403),
        ({"DM3_GATEWAY__OPERATION__METRICS_TOKEN_FILE": "token"}, "another token, as long", 403),
        ({"DM3_GATEWAY__OPERATION__METRICS_TOKEN_FILE": "token"}, "a-token-of-twenty-signs", 200),
    ],
)
async def test_who_may_read_it(tmp_path: Path, overrides: dict[str, str], token: str | None, status: int) -> None:
    (tmp_path / "token").write_text("a-token-of-twenty-signs\n")
    overrides = {key: text.replace("token", str(tmp_path / "token"), 1) for key, text in overrides.items()}
    async with running_house(tmp_path / "house", overrides=overrides, working=False) as house:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        assert (await house.http.get(f"{house.url}/metrics", headers=headers)).status_code == status


async def test_an_age_of_the_newest_backup(tmp_path: Path) -> None:
    async with running_house(tmp_path / "house", working=False) as house:
        assert ("dm3_gateway_backup_age_seconds", frozenset[tuple[str, str]]()) not in await scrape(house)
        folder = house.settings.operation.backup_folder
        folder.mkdir()
        (folder / "one.age").write_bytes(b"x")
        os.utime(folder / "one.age", (time.time() - 5000,) * 2)
        (folder / ".two.age.1234").write_bytes(b"half of it")
        assert 5000 <= value(await scrape(house), "backup_age_seconds") < 5600
