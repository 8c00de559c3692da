"""Claiming a name in a real browser, with a wallet of the test's own; and everything that can go wrong on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Route, expect

from gateway.ids import EnsName, EthAddress
from tests.integration.subnames.wallets import Wallet, shown
from tests.integration.web.conftest import Arrives, MovingClock
from tests.integration.web.injected import InjectedWallet, rejects
from tests.integration.web.visitors import ANOTHER_LOOP, Visitor, visiting
from tests.support.house import House, running_house
from tests.support.waiting import until

pytestmark = ANOTHER_LOOP


async def claim(visitor: Visitor, label: str) -> None:
    """Type the name, wait until it is free, press the button."""
    await visitor.goto("/claim")
    await visitor.page.get_by_label("The name you would like").fill(label)
    await visitor.role("button", f"Claim {label}.gw.eth").click()


async def is_yours(visitor: Visitor, label: str) -> None:
    await expect(visitor.role("heading", f"{label}.gw.eth is yours")).to_be_visible()


async def owner_of(house: House, label: str) -> str | None:
    answer = await house.http.get(f"{house.url}/api/v1/names/{label}.gw.eth")
    return answer.json()["owner"] if answer.status_code == 200 else None


async def test_one_signature_and_the_name_resolves_before_the_visitors_eyes(
    house: House, arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]
) -> None:
    visitor, label = await arrives(wallet), fresh()
    await claim(visitor, label)
    await is_yours(visitor, label)
    assert wallet.asked == ["eth_requestAccounts", "eth_chainId", "personal_sign"]
    (text,) = wallet.texts
    assert f"Claim the name {label}.gw.eth for this address." in text
    chain = visitor.page.locator("[data-step=resolve]")
    await expect(chain).to_contain_text("Resolves")
    await expect(chain).to_contain_text(wallet.account)
    await expect(chain).to_contain_text(house.settings.ens.resolver_addresses[0], ignore_case=True)
    assert await house.ens.address(EnsName(f"{label}.gw.eth")) == wallet.account.lower()
    await visitor.role("link", "See its page").click()
    await expect(visitor.role("heading", f"{label}.gw.eth")).to_be_visible()


async def test_what_was_typed_is_shown_as_ens_writes_it(arrives: Arrives, fresh: Callable[[], str]) -> None:
    visitor = await arrives()
    label = f"jörg{fresh()}"
    await visitor.goto("/claim")
    await visitor.page.get_by_label("The name you would like").fill(label.upper())
    found = visitor.page.locator("#found")
    await expect(found.locator(".name")).to_have_text(f"{label}.gw.eth")
    await expect(found).to_contain_text("ENS writes")
    await expect(found.get_by_text("xn--jrg")).to_be_visible()
    await expect(found).to_contain_text("Looks like jorg")
    await expect(found).to_contain_text("letters beyond a to z")


async def test_the_newest_typing_wins_over_slow_answers(arrives: Arrives, fresh: Callable[[], str]) -> None:
    visitor = await arrives()
    slow, quick = fresh(), fresh()
    held, newest_came = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        held.set()
        await newest_came.wait()
        await route.continue_()

    await visitor.goto("/claim")
    await visitor.page.route(f"**/claim?name={slow}", hold)
    field = visitor.page.get_by_label("The name you would like")
    await field.fill(slow)
    await held.wait()
    await expect(visitor.role("button", "Claim")).to_be_disabled()
    async with visitor.page.expect_event("requestfailed", lambda request: slow in request.url):
        await field.fill(quick)
    await expect(visitor.page.locator("#found .name")).to_have_text(f"{quick}.gw.eth")
    newest_came.set()
    assert visitor.page.url.endswith(f"/claim?name={quick}")


CANNOT_BE_HAD = {
    "ab": "at least 3 characters",
    "admin": "reserved",
    "r00t": "looks like root, which is reserved",
    "a.b.c": "directly below",
    "with space": "cannot be a name",
    "<img src=x onerror=alert(1)>": "cannot be a name",
}


@pytest.mark.attack(45)
async def test_names_that_cannot_be_had_say_why(arrives: Arrives) -> None:
    """As the server writes them into a page, and as the script puts them there; nothing of it is taken for markup."""
    visitor = await arrives()
    found = visitor.page.locator("#found")
    for typed, told in CANNOT_BE_HAD.items():
        await visitor.goto(f"/claim?name={quote(typed)}")
        await expect(found).to_contain_text(told)
    for typed, told in CANNOT_BE_HAD.items():
        await visitor.page.get_by_label("The name you would like").fill(f"{typed} ")
        await expect(found).to_contain_text(told)
        await expect(visitor.role("button", "Claim")).to_be_disabled()


async def test_a_look_alike_is_named(arrives: Arrives, owner: Wallet) -> None:
    assert (await owner.claim("modem.gw.eth")).status_code == 201
    visitor = await arrives()
    await visitor.goto("/claim?name=modern")
    await expect(visitor.page.locator("#found .warning.note")).to_contain_text("Looks like modem.gw.eth")


async def test_two_wallets_are_offered_by_their_names(
    house: House, arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]
) -> None:
    other = InjectedWallet(house.chain.chain_id, name="Other wallet")
    visitor, label = await arrives(wallet, other), fresh()
    await claim(visitor, label)
    await visitor.role("button", "Other wallet").click()
    await is_yours(visitor, label)
    assert await owner_of(house, label) == other.account
    assert wallet.asked == []


async def test_a_wallet_that_is_not_announced(
    arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]
) -> None:
    visitor, label = await arrives(wallet, announced=False), fresh()
    await claim(visitor, label)
    await is_yours(visitor, label)


async def test_without_a_wallet_it_says_what_to_do(arrives: Arrives, fresh: Callable[[], str]) -> None:
    visitor = await arrives()
    await claim(visitor, fresh())
    told = visitor.page.locator("[data-step=wallet]")
    await expect(told).to_contain_text("There is no wallet in this browser.")
    await expect(told).to_contain_text("Install one as an extension")
    await expect(told.get_by_role("button", name="Try again")).to_be_visible()


@pytest.mark.parametrize("method", ["eth_requestAccounts", "personal_sign"])
async def test_who_says_no_can_try_again(
    house: House, arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str], method: str
) -> None:
    wallet.before = rejects(method)
    visitor, label = await arrives(wallet), fresh()
    await claim(visitor, label)
    await expect(visitor.page.locator("#progress")).to_contain_text("You said no in the wallet.")
    assert await owner_of(house, label) is None
    wallet.before = None
    await visitor.role("button", "Try again").click()
    await is_yours(visitor, label)


async def test_a_name_that_is_taken_in_between(
    house: House, arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]
) -> None:
    label, rival = fresh(), Wallet(house, InjectedWallet(1).key)

    async def before(method: str) -> None:
        if method == "personal_sign":
            assert (await rival.claim(f"{label}.gw.eth")).status_code == 201

    wallet.before = before
    visitor = await arrives(wallet)
    visitor.expect("409")
    await claim(visitor, label)
    step = visitor.page.locator("[data-step=claim]")
    await expect(step).to_contain_text("Somebody else took this name while you were signing.")
    await expect(visitor.page.locator("#found")).to_contain_text("is taken")
    await expect(visitor.role("button", "Claim")).to_be_disabled()
    await step.get_by_role("button", name="Choose another name").click()
    await expect(visitor.page.get_by_label("The name you would like")).to_be_focused()


async def test_a_wallet_on_another_chain_can_sign_as_it_is(
    arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]
) -> None:
    wallet.chain_id = 1
    visitor, label = await arrives(wallet), fresh()
    await claim(visitor, label)
    await is_yours(visitor, label)
    await expect(visitor.page.locator("[data-step=wallet]")).to_contain_text("Your wallet is on chain 1")
    assert "wallet_switchEthereumChain" not in wallet.asked
    await visitor.role("button", "Switch the wallet to it").click()
    await expect(visitor.page.locator("[data-step=wallet]")).to_contain_text("The wallet is on chain 31337 now.")


async def test_an_account_that_changes_on_the_way_claims_nothing(
    house: House, arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]
) -> None:
    visitor, label = await arrives(wallet), fresh()
    other = InjectedWallet(1).account

    async def before(method: str) -> None:
        if method == "personal_sign":
            await wallet.tell(visitor.page, "accountsChanged", [other])

    wallet.before = before
    await claim(visitor, label)
    await expect(visitor.page.locator("[data-step=sign]")).to_contain_text(f"The wallet was switched to {other}")
    assert await owner_of(house, label) is None


@pytest.mark.attack(7)
async def test_a_signature_by_another_key(
    house: House, arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]
) -> None:
    wallet.signs_with = InjectedWallet(1).key
    visitor, label = await arrives(wallet), fresh()
    visitor.expect("403")
    visitor.expect("404")
    await claim(visitor, label)
    await expect(visitor.page.locator("[data-step=claim]")).to_contain_text("The signature is not that of 0x")
    assert await owner_of(house, label) is None


@pytest.mark.attack(7)
async def test_a_text_that_was_signed_too_late(
    arrives: Arrives, wallet: InjectedWallet, clock: MovingClock, fresh: Callable[[], str]
) -> None:
    async def before(method: str) -> None:
        if method == "personal_sign":
            clock.ahead += 11 * 60_000

    wallet.before = before
    visitor, label = await arrives(wallet), fresh()
    visitor.expect("403")
    visitor.expect("404")
    await claim(visitor, label)
    await expect(visitor.page.locator("[data-step=claim]")).to_contain_text("good for ten minutes")
    wallet.before = None
    await visitor.role("button", "Try again").click()
    await is_yours(visitor, label)


async def test_a_double_click_asks_once(arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]) -> None:
    visitor, label = await arrives(wallet), fresh()
    await visitor.goto(f"/claim?name={label}")
    await visitor.role("button", f"Claim {label}.gw.eth").dblclick()
    await is_yours(visitor, label)
    assert wallet.asked.count("personal_sign") == 1


async def test_coming_back_with_the_browsers_button(
    arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]
) -> None:
    visitor, label = await arrives(wallet), fresh()
    await claim(visitor, label)
    await visitor.role("link", "See its page").click()
    await expect(visitor.page).to_have_title(f"{label}.gw.eth – gw.eth")
    await visitor.page.go_back()
    await is_yours(visitor, label)
    await expect(visitor.role("button", f"Claim {label}.gw.eth")).to_be_hidden()
    assert wallet.asked.count("personal_sign") == 1


async def test_a_slow_gateway_is_waited_for_in_words(
    arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]
) -> None:
    visitor, label = await arrives(wallet), fresh()
    go_on = asyncio.Event()

    async def hold(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    await visitor.page.route("**/api/v1/claims", hold)
    await claim(visitor, label)
    step = visitor.page.locator("[data-step=claim]")
    await expect(step).to_contain_text("Waiting")
    await expect(step).to_contain_text("2 s")
    go_on.set()
    await is_yours(visitor, label)


async def test_a_gateway_that_is_away_loses_nothing(
    house: House, arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]
) -> None:
    visitor, label = await arrives(wallet), fresh()
    visitor.expect("net::ERR_FAILED")
    away = lambda route: route.abort()  # noqa: E731
    await visitor.page.route("**/api/v1/**", away)
    await claim(visitor, label)
    await expect(visitor.page.locator("[data-step=sign]")).to_contain_text("The gateway cannot be reached.")
    await visitor.page.unroute("**/api/v1/**", away)
    await visitor.role("button", "Try again").click()
    await is_yours(visitor, label)
    assert await owner_of(house, label) == wallet.account


async def test_an_answer_that_is_lost_is_not_a_failure(
    arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]
) -> None:
    """The claim arrives, its answer does not: the page looks whose the name is instead of crying."""
    visitor, label = await arrives(wallet), fresh()
    visitor.expect("net::ERR_FAILED")

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await visitor.page.route("**/api/v1/claims", lose)
    await claim(visitor, label)
    await is_yours(visitor, label)


async def test_looking_while_the_gateway_is_away(arrives: Arrives, fresh: Callable[[], str]) -> None:
    visitor = await arrives()
    visitor.expect("net::ERR_INTERNET_DISCONNECTED")
    await visitor.goto("/claim")
    await visitor.context.set_offline(True)
    await visitor.page.get_by_label("The name you would like").fill(fresh())
    await expect(visitor.page.locator("#found")).to_contain_text("The gateway cannot be reached.")
    await visitor.context.set_offline(False)
    await visitor.role("button", "Check again").click()
    await expect(visitor.page.locator("#found")).to_contain_text("Free")


async def test_a_name_that_does_not_resolve_says_what_can_be_done(
    house: House, arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]
) -> None:
    visitor, label = await arrives(wallet), fresh()
    zero, resolver = EthAddress("0x" + "00" * 20), EthAddress(house.settings.ens.resolver_addresses[0])
    await asyncio.to_thread(house.chain.ens.set_resolver, EnsName("gw.eth"), zero)
    try:
        await claim(visitor, label)
        await is_yours(visitor, label)
        step = visitor.page.locator("[data-step=resolve]")
        await expect(step).to_contain_text("Does not resolve")
        await expect(step).to_contain_text("No resolver is set for")
        await expect(step).to_contain_text("The operator has to set")
    finally:
        await asyncio.to_thread(house.chain.ens.set_resolver, EnsName("gw.eth"), resolver)
    await step.get_by_role("button", name="Check again").click()
    await expect(step).to_contain_text("Resolves")


async def test_by_keyboard_alone(
    house: House, arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]
) -> None:
    other = InjectedWallet(house.chain.chain_id, name="Another")
    visitor, label = await arrives(wallet, other), fresh()
    keys = visitor.page.keyboard
    await visitor.goto("/claim")
    await keys.press("Tab")
    await expect(visitor.role("link", "Skip to the content")).to_be_focused()
    await keys.press("Enter")
    await keys.press("Tab")
    await expect(visitor.page.get_by_label("The name you would like")).to_be_focused()
    await keys.type(label)
    await expect(visitor.role("button", f"Claim {label}.gw.eth")).to_be_enabled()
    await keys.press("Tab")
    await keys.press("Tab")
    await expect(visitor.role("button", f"Claim {label}.gw.eth")).to_be_focused()
    await keys.press("Enter")
    await expect(visitor.role("button", wallet.name)).to_be_focused()
    await keys.press("Enter")
    await is_yours(visitor, label)
    await expect(visitor.role("heading", f"{label}.gw.eth is yours")).to_be_focused()
    await keys.press("Tab")
    await keys.press("Enter")
    await expect(visitor.page).to_have_title(f"{label}.gw.eth – gw.eth")


async def test_without_scripts_a_name_can_be_looked_up(
    house: House, arrives: Arrives, owner: Wallet, fresh: Callable[[], str]
) -> None:
    label = fresh()
    assert (await owner.claim(f"{label}.gw.eth")).status_code == 201
    visitor = await arrives(java_script_enabled=False)
    await visitor.goto("/")
    await visitor.page.get_by_label("The name you would like").fill(label)
    await visitor.role("button", "See if it is free").click()
    await expect(visitor.page.locator("#found")).to_contain_text("is taken")
    # The browser of the test leaves the element itself empty.
    assert "Needs a script" in (await house.http.get(visitor.page.url)).text
    await expect(visitor.role("heading", "What happens")).to_be_visible()
    await visitor.page.get_by_label("The name you would like").fill(fresh())
    await visitor.role("button", "Check").click()
    await expect(visitor.page.locator("#found")).to_contain_text("Free")


async def test_nothing_is_kept_in_cookies(arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]) -> None:
    visitor, label = await arrives(wallet), fresh()
    await claim(visitor, label)
    await is_yours(visitor, label)
    assert await visitor.context.cookies() == []
    kept = await visitor.page.evaluate("[Object.keys(sessionStorage), Object.keys(localStorage)]")
    assert kept == [["session"], []]
    assert (await shown(visitor.house, f"{label}.gw.eth"))["owner"] == wallet.account


async def test_a_wallet_that_still_asks(arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]) -> None:
    visitor, label = await arrives(wallet), fresh()
    answered = asyncio.Event()

    async def before(method: str) -> None:
        if method == "personal_sign":
            await answered.wait()

    wallet.before = before
    await claim(visitor, label)
    step = visitor.page.locator("[data-step=sign]")
    await expect(step).to_contain_text("asks for your signature")
    await expect(step).to_contain_text(f"Claim the name {label}.gw.eth for this address.")
    await expect(visitor.role("button", "Claim")).to_be_disabled()

    async def is_asked() -> bool | None:
        return "personal_sign" in wallet.asked or None

    await until(is_asked)
    answered.set()
    await is_yours(visitor, label)


async def test_at_another_address_it_says_where_it_belongs(
    house: House, arrives: Arrives, wallet: InjectedWallet, fresh: Callable[[], str]
) -> None:
    visitor, label = await arrives(wallet), fresh()
    visitor.expect("a request to elsewhere")
    visitor.expect("403")
    elsewhere = house.url.replace("127.0.0.1", "localhost")
    await visitor.page.goto(f"{elsewhere}/claim?name={label}")
    note = visitor.page.locator(".note.warning", has_text="own address")
    await expect(note).to_contain_text(f"this gateway’s own address is {house.url}")
    await visitor.role("button", f"Claim {label}.gw.eth").click()
    await expect(visitor.page.locator("[data-step=sign]")).to_contain_text("open them there")
    await note.get_by_role("link").click()
    await expect(visitor.page).to_have_url(f"{house.url}/claim?name={label}")
    await expect(note).to_have_count(0)


async def test_where_names_are_not_for_everybody(house: House, tmp_path: Path) -> None:
    async with running_house(tmp_path / "closed", chain=house.chain, parent=EnsName("closed.eth")) as closed:
        home = (await closed.http.get(closed.url)).text
        assert "Look it up" in home
        assert "/claim?" not in home
        page = (await closed.http.get(f"{closed.url}/claim?name=robert")).text
        assert "are given out by who runs this gateway" in page
        assert 'id="claim"' not in page
        assert "Claim it" not in (await closed.http.get(f"{closed.url}/names/robert.closed.eth")).text


async def test_who_may_not_claim_is_told_why(
    house: House, browser: Browser, wallet: InjectedWallet, tmp_path: Path
) -> None:
    listed = {
        "DM3_GATEWAY__SUBNAMES__POLICY": "allow",
        "DM3_GATEWAY__SUBNAMES__ALLOW": f'["{InjectedWallet(1).account}"]',
    }
    async with (
        running_house(tmp_path / "few", chain=house.chain, parent=EnsName("few.eth"), overrides=listed) as few,
        visiting(few, browser, wallet) as visitor,
    ):
        visitor.expect("403")
        await visitor.goto("/claim?name=robert")
        await visitor.role("button", "Claim robert.few.eth").click()
        step = visitor.page.locator("[data-step=sign]")
        await expect(step).to_contain_text(f"{wallet.account} is not on the list of those who may claim here.")
        assert "personal_sign" not in wallet.asked
