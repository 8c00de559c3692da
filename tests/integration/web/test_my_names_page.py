"""One's own names in a real browser: signing in, records, links, and giving a name away."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from playwright.async_api import Locator, expect

from gateway.ids import EnsName
from tests.integration.subnames.wallets import Wallet, shown, text_of
from tests.integration.web.codes import code_for
from tests.integration.web.conftest import Arrives, MovingClock
from tests.integration.web.injected import InjectedWallet, rejects
from tests.integration.web.visitors import ONE_LOOP, Visitor
from tests.support.adapters import PaperAdapter
from tests.support.house import House

pytestmark = ONE_LOOP
Managing: TypeAlias = Callable[[], AbstractAsyncContextManager[Visitor]]


@pytest.fixture
def label(fresh: Callable[[], str]) -> str:
    return fresh()


@asynccontextmanager
async def _managing(arrives: Arrives, wallet: InjectedWallet, owner: Wallet, name: str) -> AsyncIterator[Visitor]:
    assert (await owner.claim(name)).status_code == 201
    visitor = await arrives(wallet)
    await visitor.goto("/me")
    await visitor.role("button", "Sign in").click()
    await visitor.role("link", name).click()
    await expect(visitor.role("heading", name)).to_be_focused()
    yield visitor


@pytest.fixture
def managing(arrives: Arrives, wallet: InjectedWallet, owner: Wallet, label: str) -> Managing:
    """Signed in, and at the one name."""
    return lambda: _managing(arrives, wallet, owner, f"{label}.gw.eth")


def part(visitor: Visitor, which: str) -> Locator:
    return visitor.page.locator(f"[data-part={which}]")


async def test_signing_in_shows_ones_names_and_signing_out_ends_it(
    house: House, arrives: Arrives, wallet: InjectedWallet, owner: Wallet, label: str
) -> None:
    assert (await owner.claim(f"{label}.gw.eth")).status_code == 201
    visitor = await arrives(wallet)
    await visitor.goto("/me")
    await visitor.role("button", "Sign in").click()
    await expect(visitor.role("link", f"{label}.gw.eth")).to_contain_text("claimed")
    assert "Sign in to manage my names." in wallet.texts[0]
    await visitor.page.reload()
    await expect(visitor.role("link", f"{label}.gw.eth")).to_be_visible()
    kept = json.loads(await visitor.page.evaluate("sessionStorage.getItem('session')"))
    async with visitor.page.expect_response("**/wallet/session"):
        await visitor.role("button", "Sign out").click()
    await expect(visitor.role("button", "Sign in")).to_be_focused()
    assert await visitor.page.evaluate("sessionStorage.length") == 0
    old = {"authorization": f"Bearer {kept['token']}"}
    assert (await house.http.get(f"{house.url}/api/v1/wallet/names", headers=old)).status_code == 401


async def test_a_wallet_without_names_is_told_how_to_get_one(arrives: Arrives, wallet: InjectedWallet) -> None:
    visitor = await arrives(wallet)
    await visitor.goto("/me")
    await visitor.role("button", "Sign in").click()
    await expect(visitor.page.locator("[data-none]")).to_contain_text("This wallet has no names here. Claim one")


async def test_a_session_that_has_ended(arrives: Arrives, wallet: InjectedWallet, clock: MovingClock) -> None:
    visitor = await arrives(wallet)
    visitor.expect("401")
    await visitor.goto("/me")
    await visitor.role("button", "Sign in").click()
    await expect(visitor.role("button", "Sign out")).to_be_visible()
    clock.ahead += 13 * 3_600_000
    await visitor.page.reload()
    await expect(visitor.page.locator("#sign-in")).to_contain_text("Your session has ended; sign in again.")


async def test_records_are_changed_by_one_signature(
    house: House,
    managing: Managing,
    wallet: InjectedWallet,
    label: str,
) -> None:
    async with managing() as visitor:
        records = part(visitor, "records")
        for key, value in (("url", "https://example.org/ü"), ("description", "two\nlines")):
            await records.get_by_role("button", name="Add a record").click()
            row = records.get_by_role("group", name="New record").last
            await row.get_by_role("combobox", name="Key", exact=True).fill(key)
            await row.get_by_role("textbox", name="Value").fill(value)
        await records.get_by_role("group", name="Record coin:2147483648").get_by_role("button").click()
        await records.get_by_role("button", name="Sign the changes").click()
        await expect(records).to_contain_text("3 records changed.")
        assert len(wallet.typed) == 1
        signed = {each["key"]: each["value"] for each in wallet.typed[0]["message"]["records"]}
        assert signed == {
            "text:url": "https://example.org/ü",
            "text:description": "two\nlines",
            "coin:2147483648": "",
        }
        assert await text_of(house, f"{label}.gw.eth", "description") == "two\nlines"
        assert await house.ens.addr(EnsName(f"{label}.gw.eth"), 0x80000000 | 8453) is None


async def test_a_record_that_cannot_be_is_marked(managing: Managing) -> None:
    async with managing() as visitor:
        visitor.expect("400")
        records = part(visitor, "records")
        value = records.get_by_role("group", name="Record addr").get_by_role("textbox", name="addr", exact=True)
        await value.fill("0x12")
        await records.get_by_role("button", name="Sign the changes").click()
        await expect(value).to_be_focused()
        await expect(value).to_have_attribute("aria-invalid", "true")
        await expect(value).to_have_accessible_description("not an Ethereum address")
        await expect(records.locator(".told")).to_contain_text("The input is not valid.")


async def test_nothing_changed_is_nothing_to_sign(managing: Managing, wallet: InjectedWallet) -> None:
    async with managing() as visitor:
        await part(visitor, "records").get_by_role("button", name="Sign the changes").click()
        await expect(part(visitor, "records")).to_contain_text("Nothing is changed.")
        assert wallet.typed == []


async def test_a_wallet_on_another_chain_is_switched_or_told(
    managing: Managing, wallet: InjectedWallet, label: str
) -> None:
    async with managing() as visitor:
        wallet.chain_id, wallet.before = 1, rejects("wallet_switchEthereumChain")
        renew = part(visitor, "renew")
        await renew.get_by_role("button").click()
        await expect(renew).to_contain_text("The wallet did not change its network.")
        await expect(renew).to_contain_text("names here are signed for on chain 31337")
        wallet.before = None
        await renew.get_by_role("button").click()
        await expect(renew).to_contain_text("Renewed until")
        assert wallet.asked.count("wallet_switchEthereumChain") == 2


async def test_a_wallet_at_another_account_signs_nothing(
    house: House,
    managing: Managing,
    wallet: InjectedWallet,
) -> None:
    async with managing() as visitor:
        key, wallet.key = wallet.key, InjectedWallet(1).key
        listing = part(visitor, "list")
        await listing.get_by_role("button").click()
        await expect(listing).to_contain_text("Switch the wallet to that account")
        assert wallet.typed == []
        wallet.key = key


async def test_of_two_wallets_the_one_that_signed_in_is_asked_again(
    house: House, arrives: Arrives, wallet: InjectedWallet, owner: Wallet, label: str
) -> None:
    assert (await owner.claim(f"{label}.gw.eth")).status_code == 201
    other = InjectedWallet(house.chain.chain_id, name="Other wallet")
    visitor = await arrives(wallet, other)
    await visitor.goto("/me")
    await visitor.role("button", "Sign in").click()
    await visitor.role("button", wallet.name).click()
    await visitor.role("link", f"{label}.gw.eth").click()
    await part(visitor, "renew").get_by_role("button").click()
    await expect(part(visitor, "renew")).to_contain_text("Renewed until")
    assert len(wallet.typed) == 1
    assert other.asked == []


async def test_the_directory_is_entered_and_left(house: House, managing: Managing, label: str) -> None:
    async with managing() as visitor:
        listing = part(visitor, "list")
        await listing.get_by_role("button", name="Sign to list it").click()
        await expect(listing).to_contain_text("The name is in the public directory.")
        assert (await shown(house, f"{label}.gw.eth"))["listed"] is True
        await listing.get_by_role("button", name="Sign to take it out").click()
        await expect(listing).to_contain_text("is not in the public directory")


async def test_a_person_of_another_network_is_linked_and_unlinked(
    house: House,
    managing: Managing,
    wallet: InjectedWallet,
    paper: PaperAdapter,
    label: str,
) -> None:
    async with managing() as visitor:
        linking = part(visitor, "link")
        await expect(linking).to_contain_text("Bridged, not end-to-end")
        await linking.get_by_label("Your address there").fill(f"{label}@example.org")
        await linking.get_by_role("button", name="Send a code").click()
        await expect(linking).to_contain_text(f"A code is on its way to {label}@example.org.")
        code = await code_for(paper, f"{label}@example.org")
        await expect(linking.get_by_label("The code")).to_be_focused()
        await linking.get_by_label("The code").fill("WRNG-2345")
        visitor.expect("403")
        await linking.get_by_role("button", name="Sign and link").click()
        await expect(linking).to_contain_text("This code is wrong, was used, or is older than ten minutes.")
        await linking.get_by_label("The code").fill(code.lower())
        await linking.get_by_role("button", name="Sign and link").click()
        await expect(linking).to_contain_text(f"Linked to {label}@example.org on paper.")
        await expect(visitor.page.locator("#manage [data-level]")).to_have_text("owned")
        assert (await shown(house, f"{label}.gw.eth"))["level"] == "owned"
        await visitor.goto(f"/names/{label}.gw.eth")
        await expect(visitor.page.get_by_text("Bridged, not end-to-end")).to_be_visible()
        assert f"{label}@example.org" not in await visitor.page.content(), "who it is there, its owner may tell"
        await visitor.goto(f"/me#{label}.gw.eth")
        await linking.get_by_role("button", name="Sign to end the link").click()
        await expect(linking).to_contain_text("The link has ended.")
        assert (await shown(house, f"{label}.gw.eth"))["level"] == "claimed"


async def test_it_can_all_be_taken_away_as_a_file(managing: Managing, label: str, tmp_path: Path) -> None:
    async with managing() as visitor:
        async with visitor.page.expect_download() as waiting:
            await visitor.role("button", "Download").click()
        download = await waiting.value
        assert download.suggested_filename == f"{label}.gw.eth.json"
        await download.save_as(tmp_path / "file")
        kept = json.loads((tmp_path / "file").read_text())
        assert kept["name"] == f"{label}.gw.eth"
        assert set(kept["records"]) == {"addr", "coin:2147483648"}
        assert [each["action"] for each in kept["history"]] == ["name.claimed"]


async def test_a_name_is_given_away_only_by_who_typed_it(
    house: House,
    managing: Managing,
    wallet: InjectedWallet,
    label: str,
) -> None:
    async with managing() as visitor:
        to, transfer = InjectedWallet(1).account, part(visitor, "transfer")
        await transfer.get_by_label("New owner").fill(to)
        await transfer.get_by_label("to confirm").fill("another.gw.eth")
        await transfer.get_by_role("button").click()
        await expect(transfer).to_contain_text("The name that you typed is another one.")
        assert wallet.typed == []
        await transfer.get_by_label("to confirm").fill(f"{label}.gw.eth")
        await transfer.get_by_role("button").click()
        await expect(visitor.page.locator("#mine")).to_contain_text(f"{label}.gw.eth belongs to {to} now.")
        assert (await shown(house, f"{label}.gw.eth"))["owner"] == to
        assert wallet.typed[0]["message"]["to"] == to


async def test_a_name_is_given_up_and_rests(house: House, managing: Managing, label: str) -> None:
    async with managing() as visitor:
        release = part(visitor, "release")
        await release.get_by_label("to confirm").fill(f"{label}.gw.eth")
        await release.get_by_role("button").click()
        await expect(visitor.page.locator("#mine")).to_contain_text(f"{label}.gw.eth was given up.")
        await expect(visitor.role("link", f"{label}.gw.eth")).to_have_count(0)
        assert await house.ens.address(EnsName(f"{label}.gw.eth")) is None


async def test_the_browsers_button_leads_from_a_name_to_all_names(managing: Managing, label: str) -> None:
    async with managing() as visitor:
        await visitor.page.go_back()
        await expect(visitor.role("button", "Sign out")).to_be_visible()
        await visitor.page.go_forward()
        await expect(visitor.role("heading", f"{label}.gw.eth")).to_be_visible()


async def test_without_scripts_it_says_what_is_needed(house: House) -> None:
    page = (await house.http.get(f"{house.url}/me")).text
    assert "your browser has to run its scripts" in page
