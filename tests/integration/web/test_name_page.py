"""The page of a name and the directory: what they say of names of every level, with and without scripts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.async_api import expect

from gateway.ids import EnsName
from tests.integration.subnames.wallets import Wallet
from tests.integration.web.codes import code_for
from tests.integration.web.conftest import Arrives, MovingClock
from tests.integration.web.visitors import ONE_LOOP
from tests.support.adapters import PaperAdapter
from tests.support.house import House
from tests.support.waiting import until

pytestmark = ONE_LOOP
DAY_MS = 24 * 3_600_000


async def bridged(house: House, paper: PaperAdapter, person: str) -> None:
    """Somebody of the network who has written, and so has a name."""
    await paper.write(person, EnsName("nobody.eth"), "hello", f"first-of-{person}")

    async def known() -> bool | None:
        name = f"{person.replace('@', '.')}.paper.gw.eth"
        return (await house.http.get(f"{house.url}/names/{name}")).status_code == 200 or None

    await until(known)


async def test_it_says_everything_without_scripts(
    house: House, arrives: Arrives, owner: Wallet, fresh: Callable[[], str]
) -> None:
    name = f"{fresh()}.gw.eth"
    assert (await owner.claim(name)).status_code == 201
    records = {"text:url": "https://example.org/", "text:description": "<b>me</b>", "coin:0": "0x76a9"}
    await owner.order(name, action="records", records=records)
    visitor = await arrives(java_script_enabled=False)
    await visitor.goto(f"/names/{name}")
    main = visitor.page.locator("main")
    for told in (owner.shown, "claimed", "Bitcoin", "<b>me</b>", "Records changed", "Claimed", "What to call"):
        await expect(main).to_contain_text(told)
    await expect(main).to_contain_text("It is theirs until")
    link = visitor.role("link", "https://example.org/")
    assert set((await link.get_attribute("rel") or "").split()) >= {"nofollow", "noopener", "noreferrer"}
    moment = visitor.page.locator(".history time").first
    await expect(moment).to_have_text("just now")
    assert (await moment.get_attribute("datetime") or "").endswith("Z")
    assert await visitor.page.locator("b").count() == 0


@pytest.mark.attack(45)
async def test_records_are_text_whatever_they_hold(arrives: Arrives, owner: Wallet, fresh: Callable[[], str]) -> None:
    name = f"{fresh()}.gw.eth"
    assert (await owner.claim(name)).status_code == 201
    evil = "\"><script>document.title='gone'</script><img src=x onerror=\"document.title='gone'\">"
    records = {
        "text:url": "javascript:document.title='gone'",
        "text:avatar": "https://evil.example/x.png",
        f"text:{evil}": evil,
    }
    assert (await owner.order(name, action="records", records=records)).status_code == 200
    visitor = await arrives()
    await visitor.goto(f"/names/{name}")
    await expect(visitor.page.locator("main")).to_contain_text(evil)
    await expect(visitor.page).to_have_title(f"{name} – gw.eth")
    assert await visitor.page.locator("a[href^=javascript], main img, main script").count() == 0


async def test_copying(arrives: Arrives, owner: Wallet, fresh: Callable[[], str]) -> None:
    name = f"ä{fresh()}.gw.eth"
    assert (await owner.claim(name)).status_code == 201
    visitor = await arrives(permissions=["clipboard-read", "clipboard-write"])
    await visitor.goto(f"/names/{name}")
    await visitor.role("button", "Copy the name").click()
    await expect(visitor.page.get_by_role("status")).to_have_text("Copied")
    assert (await visitor.page.evaluate("navigator.clipboard.readText()")).startswith("xn--")
    await visitor.role("button", "Copy the address").click()
    await expect(visitor.role("button", "Copied")).to_have_count(2)
    assert await visitor.page.evaluate("navigator.clipboard.readText()") == owner.shown


async def test_it_is_checked_through_the_chain(arrives: Arrives, owner: Wallet, fresh: Callable[[], str]) -> None:
    name = f"{fresh()}.gw.eth"
    assert (await owner.claim(name)).status_code == 201
    visitor = await arrives()
    await visitor.goto(f"/names/{name}")
    await visitor.role("button", "Check it now").click()
    await expect(visitor.page.locator("#resolution")).to_contain_text(f"Resolves {owner.shown}")


async def test_a_bridged_person_has_a_page_that_says_what_it_is(
    house: House, arrives: Arrives, paper: PaperAdapter, fresh: Callable[[], str]
) -> None:
    label = fresh()
    await bridged(house, paper, f"{label}@example.org")
    visitor = await arrives()
    await visitor.goto(f"/names/{label}.example.org.paper.gw.eth")
    main = visitor.page.locator("main")
    for told in ("bridged", "paper", label.title(), "Bridged, not end-to-end: this gateway can read these messages."):
        await expect(main).to_contain_text(told)
    await visitor.role("button", "Check it now").click()
    await expect(visitor.page.locator("#resolution")).to_contain_text("Resolves 0x")


async def test_who_linked_a_name_is_not_given_away_by_the_other_one(
    house: House, arrives: Arrives, owner: Wallet, paper: PaperAdapter, fresh: Callable[[], str]
) -> None:
    label = fresh()
    assert (await owner.claim(f"{label}.gw.eth")).status_code == 201
    person = f"{fresh()}@example.org"
    asked = await owner.post(f"/names/{label}.gw.eth/link", {"network": "paper", "person": person}, session=True)
    assert asked.status_code == 202, asked.text
    code = await code_for(paper, person)
    signature = owner.signed("", asked.json()["message"])["signature"]
    body = {"code": code, "signature": signature}
    assert (await owner.post(f"/names/{label}.gw.eth/link/confirm", body, session=True)).status_code == 200
    visitor = await arrives()
    await visitor.goto(f"/names/{person.replace('@', '.')}.paper.gw.eth")
    assert label not in await visitor.page.content()
    await visitor.goto(f"/names/{label}.gw.eth")
    content = await visitor.page.content()
    assert person not in content
    assert person.partition("@")[0] not in content
    await expect(visitor.page.locator(".over")).to_contain_text("owned")


async def test_a_name_in_grace_says_so(
    arrives: Arrives, owner: Wallet, clock: MovingClock, fresh: Callable[[], str]
) -> None:
    name = f"{fresh()}.gw.eth"
    assert (await owner.claim(name)).status_code == 201
    clock.ahead += 370 * DAY_MS
    try:
        visitor = await arrives()
        await visitor.goto(f"/names/{name}")
        await expect(visitor.page.locator("main")).to_contain_text("Its term ended 5 days ago. It still works")
    finally:
        clock.ahead -= 370 * DAY_MS


async def test_names_that_nobody_has(arrives: Arrives, fresh: Callable[[], str]) -> None:
    visitor, label = await arrives(), fresh()
    visitor.expect("404")
    await visitor.goto(f"/names/{label.upper()}")
    await expect(visitor.role("heading", f"{label}.gw.eth")).to_be_visible()
    await visitor.role("link", "Claim it").click()
    await expect(visitor.role("button", f"Claim {label}.gw.eth")).to_be_enabled()
    for name, told in (
        ("someone.eth", "names under gw.eth only"),
        ("admin.gw.eth", "it cannot be claimed"),
        ("x.example.org.paper.gw.eth", "belong to people of other networks"),
    ):
        await visitor.goto(f"/names/{name}")
        await expect(visitor.page.locator("main")).to_contain_text(told)
    await visitor.goto("/names/ds.gw.eth")
    await expect(visitor.page.locator("main")).to_contain_text("This is the gateway itself")


@pytest.mark.parametrize("scripts", [True, False])
async def test_the_directory(arrives: Arrives, owner: Wallet, fresh: Callable[[], str], scripts: bool) -> None:
    listed, hidden = f"{fresh()}.gw.eth", f"{fresh()}.gw.eth"
    for name in (listed, hidden):
        assert (await owner.claim(name)).status_code == 201
    await owner.order(listed, action="list", listed=True)
    visitor = await arrives(java_script_enabled=scripts)
    await visitor.goto("/names")
    await expect(visitor.role("link", listed)).to_be_visible()
    await expect(visitor.role("link", hidden)).to_have_count(0)
    await visitor.page.get_by_label("Search the directory").fill(listed[:9].upper())
    await visitor.role("button", "Search").click()
    await visitor.role("link", listed).click()
    await expect(visitor.page).to_have_title(f"{listed} – gw.eth")
    await visitor.goto("/names?search=zzzzz")
    await expect(visitor.page.locator("main")).to_contain_text("No listed name holds “zzzzz”.")
    await visitor.goto("/names")
    await visitor.page.get_by_label("The name you know").fill(hidden.removesuffix(".gw.eth").upper())
    await visitor.role("button", "Open its page").click()
    await expect(visitor.page).to_have_title(f"{hidden} – gw.eth")


async def test_the_directory_page_by_page(house: House, arrives: Arrives, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.web.pages.PER_PAGE", 2)
    wallet = Wallet(house, b"\x07" * 32)
    names = [f"paged{letter}.gw.eth" for letter in "abcde"]
    for name in names:
        assert (await wallet.claim(name)).status_code == 201
        await wallet.order(name, action="list", listed=True)
    visitor = await arrives()
    await visitor.goto("/names?search=paged")
    seen = []
    while True:
        seen += await visitor.page.locator(".directory .name").all_text_contents()
        following = visitor.page.locator("a[rel=next]")
        if not await following.count():
            break
        await following.click()
    assert seen == names


async def test_errors_are_pages_for_people_and_json_for_programs(house: House, arrives: Arrives) -> None:
    visitor = await arrives()
    visitor.expect("404")
    visitor.expect("400")
    await visitor.goto("/no/such/page")
    await expect(visitor.role("heading", "There is nothing here")).to_be_visible()
    await visitor.goto("/names/a..b.gw.eth")
    await expect(visitor.role("heading", "This cannot be read")).to_be_visible()
    await visitor.goto(f"/claim?name={'x' * 300}")
    await expect(visitor.role("heading", "This cannot be read")).to_be_visible()
    html = {"accept": "text/html"}
    for path in ("/api/v1/names/a..b", "/ds/profile/nobody.eth", "/api/v1/no/such"):
        answer = await house.http.get(house.url + path, headers=html)
        assert answer.headers["content-type"] == "application/json", path
    assert (await house.http.get(f"{house.url}/no/such")).headers["content-type"] == "application/json"
