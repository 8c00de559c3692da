"""What the owner of an account sees, changes and takes along."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.dm3.sender_rules import MAX_LISTED
from gateway.ids import EnsName
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.relay import account_api
from gateway.store.mailbox import PickUp
from tests.integration.relay.clients import get, put_rules, submit_text, token_of
from tests.support.house import House

ACCOUNT = "/api/v1/account"


async def rules_of(house: House, token: str) -> Any:
    answer = await get(house, f"{ACCOUNT}/rules", token)
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- what is kept ---------------------------------------------------------------------------------------------------


async def test_the_account_tells_what_is_kept(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    before = now_ms()
    token = await token_of(house, bob, "bob")
    await submit_text(house, alice, bob, "one")
    (stored,) = await house.gateway.store.read(PickUp(bob.address, now_ms(), 10))
    kept = (await get(house, ACCOUNT, token)).json()
    assert before <= kept.pop("createdAt") <= kept.pop("updatedAt") <= now_ms()
    assert kept == {
        "address": bob.address,
        "name": "bob.eth",
        "profile": bob.signed_profile().to_json(),
        "rules": {},
        "notifications": False,
        "waiting": {"messages": 1, "bytes": stored.size},
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ACCOUNT),
        ("GET", f"{ACCOUNT}/rules"),
        ("PUT", f"{ACCOUNT}/rules"),
        ("GET", f"{ACCOUNT}/export"),
        ("DELETE", "/api/v1/session"),
    ],
)
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer registered", "Basic Ym9iOmJvYg==", "Bearer " + "A" * 43])
async def test_without_a_token_there_is_nothing(
    house: House, bob: Dm3Client, method: str, path: str, header: str
) -> None:
    await token_of(house, bob, "bob")
    answer = await house.http.request(method, house.url + path, headers={"authorization": header})
    assert (answer.status_code, set(answer.json())) == (401, {"error"})


async def test_a_challenge_is_no_token(house: House, bob: Dm3Client) -> None:
    challenge = (await get(house, f"/ds/auth/{bob.name}")).json()
    assert (await get(house, ACCOUNT, challenge)).status_code == 401


# --- rules ----------------------------------------------------------------------------------------------------------


@pytest.mark.weakness(10)
async def test_rules_are_read_as_they_were_written(house: House, bob: Dm3Client) -> None:
    """And survive another log-in and registration, which wipe them in the reference."""
    token = await token_of(house, bob, "bob")
    assert await rules_of(house, token) == {}
    rules = {
        "minNonce": 2,
        "minBalance": "1000000000000000000",
        "messageRequests": True,
        "allow": ["Alice.ETH", "faß.eth"],
        "block": ["mallory.eth"],
        "maxWaitingPerSender": 5,
    }
    answer = await put_rules(house, token, rules)
    kept = {**rules, "allow": ["alice.eth", "faß.eth"]}
    assert (answer.status_code, answer.json()) == (200, kept)
    await house.http.post(f"{house.url}/ds/profile/{bob.name}", json=bob.signed_profile().to_json())
    assert await rules_of(house, await token_of(house, bob, "bob")) == kept
    assert (await put_rules(house, token, {})).json() == {}
    assert await rules_of(house, token) == {}


async def test_a_name_on_both_lists_in_two_spellings(house: House, bob: Dm3Client) -> None:
    """Rules that were stored so could be read by nobody again: all of them would be lost, and never be repaired."""
    token = await token_of(house, bob, "bob")
    await put_rules(house, token, {"block": ["mallory.eth"]})
    answer = await put_rules(house, token, {"allow": ["ALICE.eth"], "block": ["alice.eth"]})
    assert (answer.status_code, set(answer.json())) == (400, {"error"})
    assert await rules_of(house, token) == {"block": ["mallory.eth"]}


@pytest.mark.attack(29)
@pytest.mark.parametrize(
    "rules",
    [
        b"",
        b"null",
        b"[]",
        b'"allow"',
        b"{",
        b'{"minNonce": NaN}',
        b'{"block": [], "block": []}',
        b'{"allow": ["\\ud800"]}',
        b'{"allow": ' + b"[" * 3000 + b"]" * 3000 + b"}",
        {"minNonse": 1},
        {"minNonce": -1},
        {"minNonce": "1"},
        {"minBalance": "0x10"},
        {"minBalance": "1" * 79},
        {"minTokenBalance": {"address": "0x00", "amount": "1"}},
        {"ownsToken": [{"standard": "ERC20", "address": "0x" + "11" * 20}]},
        {"messageRequests": "yes"},
        {"allow": "alice.eth"},
        {"allow": [1]},
        {"allow": ["not a name"]},
        {"allow": [""]},
        {"block": [f"{number}.eth" for number in range(MAX_LISTED + 1)]},
        {"allow": ["a.eth"], "block": ["a.eth"]},
        {"maxWaitingPerSender": 2**60},
    ],
    ids=lambda rules: repr(rules)[:40],
)
async def test_what_are_no_rules(house: House, bob: Dm3Client, rules: Any) -> None:
    token = await token_of(house, bob, "bob")
    answer = await put_rules(house, token, rules)
    assert (answer.status_code, set(answer.json())) == (400, {"error"})
    assert await rules_of(house, token) == {}


async def test_rules_beyond_all_bounds(house: House, bob: Dm3Client) -> None:
    token = await token_of(house, bob, "bob")
    answer = await put_rules(house, token, b'{"allow": ["' + b"a" * 600_000 + b'"]}')
    assert (answer.status_code, set(answer.json())) == (413, {"error"})


async def test_twenty_decisions_at_once_are_all_kept(house: House, bob: Dm3Client) -> None:
    """Somebody clears a list of message requests with one click."""
    token = await token_of(house, bob, "bob")
    headers = {"authorization": f"Bearer {token}"}
    answers = await asyncio.gather(
        *(
            house.http.post(
                f"{house.url}/api/v1/mailbox/requests/stranger{number}.eth", json={"action": "block"}, headers=headers
            )
            for number in range(20)
        )
    )
    assert {answer.status_code for answer in answers} == {200}
    assert (await rules_of(house, token))["block"] == sorted(f"stranger{number}.eth" for number in range(20))


async def test_rules_need_an_account(house: House, bob: Dm3Client) -> None:
    """Somebody who moved away can log in, but has decided nothing here."""
    token = await token_of(house, bob, "bob")
    await house.gateway.store.commit(_Gone())
    for answer in (
        await get(house, ACCOUNT, token),
        await get(house, f"{ACCOUNT}/export", token),
        await put_rules(house, token, {}),
    ):
        assert (answer.status_code, set(answer.json())) == (404, {"error"})


class _Gone:
    """The account alone is gone; its sessions are not."""

    def apply(self, conn: Any) -> None:
        conn.exec_driver_sql("DELETE FROM accounts")


# --- export ---------------------------------------------------------------------------------------------------------


@pytest.mark.attack(54)
@pytest.mark.parametrize("page", [2, 200])
async def test_the_export_holds_everything(
    house: House, alice: Dm3Client, bob: Dm3Client, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """Account, rules, and both folders, whatever number of pages they are read in."""
    monkeypatch.setattr(account_api, "EXPORT_PAGE", page)
    carol = await house.native("carol.eth", "carol")
    token = await token_of(house, bob, "bob")
    assert (await put_rules(house, token, {"messageRequests": True, "allow": ["alice.eth"]})).status_code == 200
    known = [await submit_text(house, alice, bob, f"friend {number}") for number in range(5)]
    strange = [await submit_text(house, carol, bob, f"stranger {number}", account="carol") for number in range(3)]
    answer = await get(house, f"{ACCOUNT}/export", token)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == 'attachment; filename="dm3-account.json"'
    export: dict[str, Any] = answer.json()
    assert set(export) == {"account", "inbox", "requests"}
    assert export["account"] == (await get(house, ACCOUNT, token)).json()
    assert export["account"]["rules"] == {"messageRequests": True, "allow": ["alice.eth"]}
    assert export["account"]["waiting"]["messages"] == 8
    for folder, expected in (("inbox", known), ("requests", strange)):
        assert [each["envelope"]["metadata"]["messageHash"] for each in export[folder]] == expected
    first = export["inbox"][0]
    assert (first["sender"], first["recipient"], first["verified"]) == ("alice.eth", "bob.eth", True)
    picked = (await get(house, f"/ds/delivery/messages/incoming/{bob.name}", token)).json()
    assert [each["envelope"] for each in reversed(export["inbox"])] == picked


async def test_the_export_of_an_empty_mailbox_is_json(house: House, bob: Dm3Client) -> None:
    token = await token_of(house, bob, "bob")
    export = (await get(house, f"{ACCOUNT}/export", token)).json()
    assert (export["inbox"], export["requests"]) == ([], [])


async def test_nobody_else_s_mail_is_exported(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    await submit_text(house, alice, bob, "to bob")
    export = (await get(house, f"{ACCOUNT}/export", await token_of(house, alice, "alice"))).json()
    assert (export["inbox"], export["account"]["name"]) == ([], "alice.eth")


# --- the end of a session -------------------------------------------------------------------------------------------


@pytest.mark.weakness(16)
async def test_a_session_ends_when_its_owner_says_so(house: House, bob: Dm3Client) -> None:
    """And only this one; the reference has no way to take a token back."""
    one, two = [await token_of(house, bob, "bob") for _ in range(2)]
    url, headers = f"{house.url}/api/v1/session", {"authorization": f"Bearer {one}"}
    answer = await house.http.delete(url, headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    path = f"/ds/delivery/messages/incoming/{bob.name}"
    assert (await get(house, path, one)).status_code == 401
    assert (await get(house, path, two)).status_code == 200
    assert (await house.http.delete(url, headers=headers)).status_code == 401


async def test_every_name_of_one_owner_is_one_account(house: House, bob: Dm3Client) -> None:
    alias = await house.native("alias.eth", "bob")
    token = await token_of(house, bob, "bob")
    await put_rules(house, token, {"block": ["mallory.eth"]})
    other = await token_of(house, alias, "bob")
    assert await rules_of(house, other) == {"block": ["mallory.eth"]}
    assert (await get(house, ACCOUNT, token)).json()["name"] == EnsName("alias.eth"), "the one that logged in last"
