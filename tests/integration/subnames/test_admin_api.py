"""`/api/v1/admin`: programs with keys, wallets that look after a parent, and what neither may do."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.ids import EnsName
from gateway.lifecycle import now_ms
from gateway.store.audit import Audit, AuditEntry, LatestEntries
from gateway.store.names import ListNames, NameRow
from gateway.subnames.api_keys import ApiKeys
from gateway.subnames.callers import EVERYTHING, Scope
from tests.integration.subnames.wallets import Wallet, detail, shown, text_of
from tests.support.asgi import serving
from tests.support.house import House, running_house
from tests.support.waiting import until

GW, OTHER = EnsName("gw.eth"), EnsName("other.eth")
NAME = "shop.gw.eth"
SETTINGS = {
    "DM3_GATEWAY__SUBNAMES__POLICY": "open",
    "DM3_GATEWAY__SUBNAMES__PARENTS": json.dumps([{"name": "other.eth"}, {"name": "deep.gw.eth"}]),
}


@dataclass
class Program:
    """Something with a key."""

    house: House
    token: str

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """One request below /api/v1/admin."""
        sent = {
            "authorization": f"Bearer {self.token}",
            **{key.replace("_", "-"): each for key, each in headers.items()},
        }
        url = f"{self.house.url}/api/v1/admin{path}"
        return await self.house.http.request(method, url, json=body, headers=sent)


async def program(house: House, parent: EnsName = GW, scopes: frozenset[Scope] = EVERYTHING) -> Program:
    """A program with a new key, made as the operator's command makes it."""
    keys = ApiKeys(store=house.gateway.store, clock=now_ms)
    made = await keys.make(parent, scopes, label="test", actor="operator")
    return Program(house, made.token)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running_house(tmp_path / "house", overrides=SETTINGS) as running:
        yield running


@pytest.fixture
async def shop(house: House) -> Program:
    return await program(house)


def somebody() -> str:
    return Wallet(None, secrets.token_bytes(32)).shown  # type: ignore[arg-type]


async def test_set_look_change_and_take_away(house: House, shop: Program) -> None:
    owner = somebody()
    made = await shop.ask(
        "PUT", f"/names/{NAME}", {"owner": owner, "records": {"text:url": "https://a", "addr": owner}}
    )
    assert made.status_code == 200, made.text
    assert await text_of(house, NAME, "url") == "https://a"
    changed = await shop.ask("PUT", f"/names/{NAME}", {"records": {"text:url": "https://b"}})
    assert changed.json()["owner"] == owner
    assert await text_of(house, NAME, "url") == "https://b", "at once, and not after the second of a cached row"
    assert (await shop.ask("GET", f"/names/{NAME}")).json() == changed.json()
    assert (await shop.ask("DELETE", f"/names/{NAME}")).json() == {"released": NAME}
    assert (await shop.ask("GET", f"/names/{NAME}")).status_code == 404
    assert await text_of(house, NAME, "url") in ("", "None")


async def test_issuing_for_others_goes_by_the_rules_for_labels(house: House, shop: Program) -> None:
    owner = somebody()
    answer = await shop.ask("POST", f"/names/{NAME}/issue", {"owner": owner})
    assert answer.status_code == 201, answer.text
    assert (await shown(house, NAME))["owner"] == owner
    assert "taken" in detail(await shop.ask("POST", f"/names/{NAME}/issue", {"owner": owner}), 409)
    assert "reserved" in detail(await shop.ask("POST", "/names/admin.gw.eth/issue", {"owner": owner}), 403)
    (logged,) = await house.gateway.store.read(LatestEntries(EnsName(NAME), 5))
    assert logged.entry.actor.startswith("key:")


async def test_the_whole_list_and_pages(shop: Program) -> None:
    for label in ("a", "b", "c"):
        await shop.ask("PUT", f"/names/{label}{label}{label}.gw.eth", {"records": {}})
    first = (await shop.ask("GET", "/names?limit=2")).json()
    assert [each["name"] for each in first["names"]] == ["aaa.gw.eth", "bbb.gw.eth"]
    second = (await shop.ask("GET", f"/names?limit=2&after={first['next']}")).json()
    assert ([each["name"] for each in second["names"]], second["next"]) == (["ccc.gw.eth"], None)
    assert [each["name"] for each in (await shop.ask("GET", "/names?search=BB")).json()["names"]] == ["bbb.gw.eth"]


@pytest.mark.attack(49)
async def test_pages_do_not_tell_of_names_below_other_parents(house: House, shop: Program) -> None:
    """Neither in what they hold, nor by where the next one begins, nor by how full they are."""
    deep, other = await program(house, EnsName("deep.gw.eth")), await program(house, OTHER)
    mine = ["a.gw.eth", "deep.gw.eth", "z.gw.eth"]
    for asker, names in (
        (shop, mine),
        (deep, ["b.deep.gw.eth", "y.deep.gw.eth"]),
        (other, ["a0.other.eth", "c.other.eth"]),
    ):
        for name in names:
            assert (await asker.ask("PUT", f"/names/{name}", {"records": {}})).status_code == 200
            assert (await asker.ask("PUT", f"/reservations/{name}", {})).status_code == 200
    for what in ("names", "reservations"):
        for limit in (1, 2, 3):
            seen: list[str] = []
            after: str | None = ""
            while after is not None:
                page = (await shop.ask("GET", f"/{what}?limit={limit}" + (f"&after={after}" if after else ""))).json()
                seen += [each["name"] for each in page[what]]
                after = page["next"]
                assert after is None or (after == seen[-1] and len(page[what]) == limit), (what, page)
            assert seen == mine, (what, limit)


async def test_a_key_of_a_parent_that_was_given_up(house: House, shop: Program) -> None:
    await shop.ask("PUT", f"/names/{NAME}", {"records": {}})
    rows = [{"name": "ann.old.gw.eth"}]
    assert (await shop.ask("POST", "/names", {"names": rows})).json()["new"] == 1
    for parent in (EnsName("gone.eth"), EnsName("old.gw.eth")):
        old = await program(house, parent)
        assert detail(await old.ask("GET", "/names"), 404) == f"no names are issued under {parent}"


async def test_many_at_once(house: House, shop: Program) -> None:
    owner = somebody()
    rows = [{"name": f"name-{n}.gw.eth", "owner": owner, "records": {"text:n": str(n)}} for n in range(500)]
    dry = await shop.ask("POST", "/names", {"names": rows, "dry_run": True})
    assert (dry.json()["new"], dry.json()["written"]) == (500, False)
    done = await shop.ask("POST", "/names", {"names": rows})
    assert (done.status_code, done.json()["new"], done.json()["failed"]) == (200, 500, 0), done.text
    assert await text_of(house, "name-499.gw.eth", "n") == "499"
    assert (await shop.ask("POST", "/names", {"names": rows})).json()["same"] == 500
    too_many = await shop.ask("POST", "/names", {"names": [*rows, rows[0]]})
    assert too_many.status_code == 400


async def test_all_or_nothing_or_each(shop: Program) -> None:
    rows = [
        {"name": "good.gw.eth"},
        {"name": "Bad.gw.eth"},
        {"name": "alien.eth"},
        {"name": "odd.gw.eth", "records": {"coin:60": "0x00"}},
        {"name": "good.gw.eth"},
        {"name": "ann.matrix.gw.eth"},
        {"name": "fine.gw.eth"},
    ]
    nothing = await shop.ask("POST", "/names", {"names": rows})
    assert nothing.status_code == 422
    assert [each["row"] for each in nothing.json()["errors"]] == [2, 3, 4, 5, 6]
    assert all(each["error"] for each in nothing.json()["errors"])
    assert (await shop.ask("GET", "/names")).json()["names"] == []
    each = await shop.ask("POST", "/names", {"names": rows, "mode": "each"})
    assert (each.status_code, each.json()["new"], each.json()["failed"]) == (200, 2, 5)
    assert [row["name"] for row in (await shop.ask("GET", "/names")).json()["names"]] == ["fine.gw.eth", "good.gw.eth"]


async def test_a_request_that_comes_again_is_done_once(house: House, shop: Program) -> None:
    owner = somebody()
    answers = await asyncio.gather(
        *(shop.ask("POST", f"/names/{NAME}/issue", {"owner": owner}, Idempotency_Key="k1") for _ in range(5))
    )
    done = [each for each in answers if each.status_code == 201]
    assert done
    assert {each.status_code for each in answers} <= {201, 409}
    again = await shop.ask("POST", f"/names/{NAME}/issue", {"owner": owner}, Idempotency_Key="k1")
    assert (again.status_code, again.json()) == (201, done[0].json())
    other = await shop.ask("POST", f"/names/{NAME}/issue", {"owner": somebody()}, Idempotency_Key="k1")
    assert other.status_code == 422
    refused = await shop.ask("POST", f"/names/{NAME}/issue", {"owner": owner}, Idempotency_Key="k2")
    assert refused.status_code == 409
    await shop.ask("DELETE", f"/names/{NAME}")
    kept = await shop.ask("POST", f"/names/{NAME}/issue", {"owner": owner}, Idempotency_Key="k2")
    assert (kept.status_code, kept.json()) == (409, refused.json()), "its answer is kept"


@pytest.mark.parametrize(
    ("method", "path", "body", "scope"),
    [
        ("GET", "/names", None, Scope.READ),
        ("GET", f"/names/{NAME}", None, Scope.READ),
        ("PUT", f"/names/{NAME}", {}, Scope.WRITE),
        ("POST", f"/names/{NAME}/issue", {"owner": "0x" + "12" * 20}, Scope.CLAIM),
        ("DELETE", f"/names/{NAME}", None, Scope.DELETE),
        ("GET", "/audit", None, Scope.ADMIN),
        ("GET", "/keys", None, Scope.ADMIN),
        ("POST", "/keys", {"label": "x", "scopes": ["names:read"]}, Scope.ADMIN),
        ("GET", "/webhooks", None, Scope.ADMIN),
        ("GET", "/admins", None, Scope.ADMIN),
        ("PUT", "/admins/0x" + "12" * 20, None, Scope.ADMIN),
        ("GET", "/reservations", None, Scope.ADMIN),
        ("PUT", f"/reservations/{NAME}", {}, Scope.ADMIN),
    ],
)
async def test_each_thing_needs_its_scope(house: House, method: str, path: str, body: Any, scope: Scope) -> None:
    others = await program(house, scopes=EVERYTHING - {scope})
    assert detail(await others.ask(method, path, body), 403) == f"this needs a key for gw.eth with the scope {scope}"
    right = await program(house, scopes=frozenset({scope, Scope.READ}))
    assert (await right.ask(method, path, body)).status_code in (200, 201, 204, 404)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Bearer dm3k_0123456789abcdef_" + "A" * 43, "Basic YTpi"])
async def test_without_a_key(house: House, header: str) -> None:
    answer = await house.http.get(
        f"{house.url}/api/v1/admin/names", headers={"authorization": header} if header else {}
    )
    assert answer.status_code == 401


async def test_keys_make_keys_of_no_more_rights(house: House) -> None:
    boss = await program(house, scopes=frozenset({Scope.ADMIN, Scope.READ}))
    made = await boss.ask("POST", "/keys", {"label": "reader", "scopes": ["names:read"]})
    assert made.status_code == 201
    reader = Program(house, made.json()["token"])
    assert (await reader.ask("GET", "/names")).status_code == 200
    assert (await boss.ask("POST", "/keys", {"label": "w", "scopes": ["names:write"]})).status_code == 403
    listed = (await boss.ask("GET", "/keys")).json()
    assert made.json()["token"] not in json.dumps(listed)
    assert (await boss.ask("DELETE", f"/keys/{made.json()['key']['id']}")).status_code == 204
    assert (await reader.ask("GET", "/names")).status_code == 401


async def test_a_wallet_that_looks_after_a_parent(house: House, shop: Program) -> None:
    ann = Wallet(house, secrets.token_bytes(32))
    await ann.sign_in()
    assert ann.token is not None
    asks = Program(house, ann.token)
    assert "does not look after" in detail(await asks.ask("GET", "/names"), 403)
    assert (await shop.ask("PUT", f"/admins/{ann.shown}")).status_code == 204
    assert (await asks.ask("PUT", f"/names/{NAME}", {"records": {}})).status_code == 200
    assert (await asks.ask("GET", "/names?parent=gw.eth")).status_code == 200
    assert (await asks.ask("GET", "/names?parent=other.eth")).status_code == 403
    assert [each["address"] for each in (await shop.ask("GET", "/admins")).json()["admins"]] == [ann.shown]
    assert (await shop.ask("DELETE", f"/admins/{ann.shown}")).status_code == 204
    assert (await shop.ask("DELETE", f"/admins/{ann.shown}")).status_code == 404
    assert (await asks.ask("GET", "/names")).status_code == 403
    entries = (await shop.ask("GET", "/audit")).json()["entries"]
    assert {each["action"] for each in entries} >= {"admin.added", "admin.removed", "name.set"}


async def test_reservations(house: House, shop: Program) -> None:
    bob = Wallet(house, secrets.token_bytes(32))
    kept = await shop.ask("PUT", f"/reservations/{NAME}", {"holder": bob.shown, "note": "for Bob"})
    assert kept.json()["holder"] == bob.shown
    mallory = Wallet(house, secrets.token_bytes(32))
    assert "reserved" in detail(await mallory.claim(NAME), 403)
    assert (await bob.claim(NAME)).status_code == 201
    assert [each["name"] for each in (await shop.ask("GET", "/reservations")).json()["reservations"]] == [NAME]
    assert (await shop.ask("DELETE", f"/reservations/{NAME}")).status_code == 204
    assert (await shop.ask("GET", "/reservations")).json()["reservations"] == []


@pytest.mark.attack(49)
async def test_the_history_of_a_name_does_not_tell_how_its_parent_is_run(house: House, shop: Program) -> None:
    """Neither by its own name, nor by that of a parent which is a name below another, nor by one that is kept back."""
    deep = await program(house, EnsName("deep.gw.eth"))
    for each in (shop, deep):
        assert (await each.ask("PUT", f"/admins/{somebody()}")).status_code == 204
    assert (await shop.ask("PUT", "/names/deep.gw.eth", {"records": {}})).status_code == 200
    assert (await shop.ask("PUT", f"/reservations/{NAME}", {"holder": somebody()})).status_code == 200
    await house.gateway.store.commit(Audit(AuditEntry(now_ms(), "0x" + "12" * 20, "admin.entered", "admin")))
    bob = Wallet(house, secrets.token_bytes(32))
    for name in ("admin", GW, "stranger.eth", "nobody.gw.eth", NAME):
        answer = await bob.get(f"/names/{name}/history")
        assert (answer.status_code, "entries" in answer.text) == (404, False), (name, answer.text)
    assert await told_of(bob, "deep.gw.eth") == ["name.set"]
    assert (await shop.ask("PUT", f"/names/{NAME}", {"records": {}})).status_code == 200
    assert (await shop.ask("DELETE", f"/names/{NAME}")).status_code == 200
    assert await told_of(bob, NAME) == ["name.released", "name.set"], "of a name that was given up, too"
    page = (await house.http.get(f"{house.url}/names/deep.gw.eth")).text
    assert ("Set by who runs" in page, "key.created" in page, "admin.added" in page) == (True, False, False)


async def told_of(asker: Wallet, name: str) -> list[str]:
    """What everybody hears of what was done to a name."""
    answer = await asker.get(f"/names/{name}/history")
    assert answer.status_code == 200, answer.text
    return [each["action"] for each in answer.json()["entries"]]


async def test_an_owner_and_the_operator_do_not_overtake_each_other(house: House, shop: Program) -> None:
    bob = Wallet(house, secrets.token_bytes(32))
    await bob.claim(NAME)
    order = await bob.prepared(NAME, action="records", records={"text:url": "https://mine"})
    assert (await shop.ask("PUT", f"/names/{NAME}", {"records": {"text:url": "https://theirs"}})).status_code == 200
    assert (await bob.post(f"/names/{NAME}/orders", order)).status_code == 409


class Hook:
    """A receiver of news."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.heard.append(json.loads(body))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def test_news_reaches_its_receivers(house: House, shop: Program) -> None:
    hook = Hook()
    async with serving(hook) as port:
        url = f"http://127.0.0.1:{port}/secret-path"
        made = await shop.ask("POST", "/webhooks", {"url": url, "events": ["name.claimed", "name.released"]})
        assert made.status_code == 201, made.text
        assert made.json()["secret"].startswith("whsec_")
        assert "secret-path" not in (await shop.ask("GET", "/webhooks")).text
        bob = Wallet(house, secrets.token_bytes(32))
        await bob.claim(NAME)
        await bob.order(NAME, action="list", listed=True)
        await bob.order(NAME, action="release")

        async def heard() -> bool | None:
            return len(hook.heard) >= 2 or None

        await until(heard)
        assert [each["type"] for each in hook.heard] == ["name.claimed", "name.released"]
        assert all(each["data"]["name"] == NAME for each in hook.heard)
        assert (await shop.ask("DELETE", f"/webhooks/{made.json()['webhook']['id']}")).status_code == 204


LABELS = st.sampled_from(["one", "two", "three"])
PARENTS = st.sampled_from([GW, OTHER, EnsName("deep.gw.eth")])
STEPS = st.lists(
    st.tuples(PARENTS, PARENTS, LABELS, st.sampled_from(["set", "issue", "delete", "read", "reserve", "bulk"])),
    min_size=1,
    max_size=8,
)


@pytest.mark.attack(49)
async def test_a_key_of_one_parent_has_no_effect_on_another(tmp_path: Path) -> None:
    """Whatever is asked, in whatever order: below another parent nothing is read, written, or told."""
    async with running_house(tmp_path / "house", overrides=SETTINGS) as house:
        programs = {parent: await program(house, parent) for parent in (GW, OTHER, EnsName("deep.gw.eth"))}
        requests = {
            "set": ("PUT", "/names/{}", {"records": {"text:by": "x"}}),
            "issue": ("POST", "/names/{}/issue", {"owner": "0x" + "12" * 20}),
            "delete": ("DELETE", "/names/{}", None),
            "read": ("GET", "/names/{}", None),
            "reserve": ("PUT", "/reservations/{}", {}),
            "bulk": ("POST", "/names", None),
        }

        async def listed() -> dict[EnsName, list[NameRow]]:
            read = house.gateway.store.read
            every = {row.name: row for each in programs for row in await read(ListNames(each, 100))}
            return {each: [row for row in every.values() if row.name.partition(".")[2] == each] for each in programs}

        async def one(steps: list[tuple[EnsName, EnsName, str, str]]) -> None:
            for holder, parent, label, what in steps:
                name = f"{label}.{parent}"
                before = await listed()
                method, path, body = requests[what]
                body = {"names": [{"name": name}], "overwrite": True} if what == "bulk" else body
                answer = await programs[holder].ask(method, path.format(name), body)
                after = await listed()
                untouched = set(programs) - {holder}
                assert {each: after[each] for each in untouched} == {each: before[each] for each in untouched}
                if holder != parent:
                    assert answer.status_code in (403, 404, 422), (holder, name, what, answer.text)
                    assert after == before

        loop = asyncio.get_running_loop()

        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
        @given(STEPS)
        def check(steps: list[tuple[EnsName, EnsName, str, str]]) -> None:
            asyncio.run_coroutine_threadsafe(one(steps), loop).result(60)

        await asyncio.to_thread(check)
