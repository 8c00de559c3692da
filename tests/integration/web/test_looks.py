"""Every page in light, dark and on a phone: fit for everybody, and a picture of it for somebody to look at."""

from __future__ import annotations

import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, Literal, cast

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.integration.subnames.wallets import Wallet
from tests.integration.web.conftest import Arrives
from tests.integration.web.injected import InjectedWallet, rejects
from tests.integration.web.looks import faults, walk_by_tab
from tests.integration.web.test_name_page import bridged
from tests.integration.web.visitors import ONE_LOOP, Visitor
from tests.support.adapters import PaperAdapter
from tests.support.house import House

pytestmark = ONE_LOOP

PICTURES: Final = Path(os.environ.get("SCREENSHOTS", ".cache/screenshots"))
LOOKS: Final = {
    "light": ("light", 1280),
    "dark": ("dark", 1280),
    "phone": ("light", 360),
    "phone-dark": ("dark", 360),
    "wide": ("light", 1600),
}
"""Colours and width in pixels; none of it needs a page to be opened anew."""
PICTURED: Final = ("light", "dark", "phone")
NAME: Final = "margarethe.gw.eth"
LONG: Final = "ßöéñ-" + "sehrlangername" * 3 + ".gw.eth"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def margarethe(house: House, paper: PaperAdapter) -> bytes:
    """The key of somebody who has made use of everything."""
    wallet = Wallet(house, secrets.token_bytes(32))
    assert (await wallet.claim(NAME)).status_code == 201
    records = {
        "text:url": "https://margarethe.example/",
        "text:description": "Writes about clocks, mostly slow ones.",
        "text:com.github": "margarethe",
        "coin:0": "0x76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac",
        "text:notice": "All the small print that nobody ever reads, at some length. " * 6,
        "contenthash": "0xe3010170122029f2d17be6139079dc48696d1f582a8530eb9805b561eda517e22a892c7e3f1f",
    }
    assert (await wallet.order(NAME, action="records", records=records)).status_code == 200
    assert (await wallet.order(NAME, action="list", listed=True)).status_code == 200
    for name in ("margarete.gw.eth", "kаrl".replace("а", "a") + "-theodor.gw.eth", "žofie.gw.eth"):
        assert (await wallet.claim(name)).status_code == 201, name
        await wallet.order(name, action="list", listed=True)
    await bridged(house, paper, "margarethe@example.org")
    return wallet.key


async def opened(visitor: Visitor, path: str) -> None:
    await visitor.goto(path)


async def failing(visitor: Visitor, path: str) -> None:
    visitor.expect("404")
    await visitor.goto(path)


async def claimed(visitor: Visitor, path: str) -> None:
    await visitor.goto(path)
    await visitor.page.locator("#claim").click()
    await expect(visitor.page.locator("#done h2")).to_be_focused()


async def refused(visitor: Visitor, path: str) -> None:
    visitor.wallets[0].before = rejects("personal_sign")
    await visitor.goto(path)
    await visitor.page.locator("#claim").click()
    await expect(visitor.role("button", "Try again")).to_be_visible()
    await visitor.page.get_by_text("The text that you sign").wait_for(state="detached")


async def signed_in(visitor: Visitor, path: str) -> None:
    await visitor.goto("/me")
    await visitor.role("button", "Sign in").click()
    await expect(visitor.role("link", NAME)).to_be_visible()
    if "#" in path:
        await visitor.role("link", NAME).click()
        await expect(visitor.role("button", "Download")).to_be_visible()


async def checked(visitor: Visitor, path: str) -> None:
    await visitor.goto(path)
    await visitor.role("button", "Check it now").click()
    await expect(visitor.page.locator("#resolution .ok")).to_be_visible()


Way = Callable[[Visitor, str], Awaitable[None]]
SCENES: Final[Mapping[str, tuple[Way, str]]] = {
    "home": (opened, "/"),
    "claim": (opened, "/claim"),
    "claim-free": (opened, "/claim?name=Jürgen"),
    "claim-taken": (opened, f"/claim?name={NAME}"),
    "claim-done": (claimed, "/claim?name=claimedhere"),
    "claim-refused": (refused, "/claim?name=refused"),
    "claim-long": (opened, f"/claim?name={LONG}"),
    "names": (opened, "/names"),
    "names-empty": (opened, "/names?search=nobodyhasthis"),
    "name": (checked, f"/names/{NAME}"),
    "name-bridged": (opened, "/names/margarethe.example.org.paper.gw.eth"),
    "name-nobody": (failing, "/names/nobodyhasthis.gw.eth"),
    "service": (opened, "/names/ds.gw.eth"),
    "me": (opened, "/me"),
    "me-names": (signed_in, "/me"),
    "me-name": (signed_in, f"/me#{NAME}"),
    "interfaces": (opened, "/api/docs"),
    "error": (failing, "/no/such/page"),
}


@pytest.mark.parametrize("scene", SCENES)
async def test_every_page_is_fit_for_everybody(
    house: House, arrives: Arrives, margarethe: bytes, subtests: pytest.Subtests, scene: str
) -> None:
    way, path = SCENES[scene]
    key = secrets.token_bytes(32) if scene.startswith("claim") else margarethe
    visitor = await arrives(InjectedWallet(house.chain.chain_id, key), reduced_motion="reduce")
    await way(visitor, path)
    for look, (colours, width) in LOOKS.items():
        with subtests.test(look):
            await visitor.page.emulate_media(color_scheme=cast(Literal["light", "dark"], colours))
            await visitor.page.set_viewport_size({"width": width, "height": 800})
            if look in PICTURED:
                await visitor.page.screenshot(path=PICTURES / look / f"{scene}.png", full_page=True)
            assert await faults(visitor.page) == []


@pytest.mark.parametrize("scene", ["home", "claim-free", "name", "names", "me-name"])
async def test_the_tabulator_goes_from_top_to_bottom_and_is_seen(
    house: House, arrives: Arrives, margarethe: bytes, scene: str
) -> None:
    visitor = await arrives(InjectedWallet(house.chain.chain_id, margarethe))
    way, path = SCENES[scene]
    await way(visitor, path)
    reached = await walk_by_tab(visitor.page)
    assert "Skip to the content" in reached[0]
    can_be_reached = await visitor.page.locator(
        "a[href]:visible, button:enabled:visible, input:visible, select:visible, textarea:visible, summary:visible"
    ).count()
    assert len(reached) == can_be_reached


async def test_nothing_moves_for_who_wants_it_still(arrives: Arrives) -> None:
    moving = "() => getComputedStyle(document.querySelector('.state')).transitionDuration"
    for wish, seconds in (("reduce", "0s"), ("no-preference", "0.16s, 0.16s, 0.16s")):
        visitor = await arrives(reduced_motion=wish)
        await visitor.goto("/claim?name=robert")
        assert await visitor.page.evaluate(moving) == seconds


async def test_the_checks_find_what_is_wrong(arrives: Arrives) -> None:
    """A check that never fails checks nothing."""
    visitor = await arrives()
    await visitor.goto("/claim?name=robert")
    assert await faults(visitor.page) == []
    await visitor.page.evaluate("""() => {
      const main = document.querySelector("main");
      const bad = "<h4>too deep</h4><input id=name><img src=/static/favicon.svg><button></button>";
      main.insertAdjacentHTML("beforeend", bad);
      document.querySelector("h1").style.color = "#ddd";
      document.querySelector(".lead").style.width = "5000px";
      document.querySelector("footer").after("lost");
    }""")
    told = " ".join(await faults(visitor.page))
    for each in ("left out", "twice: #name", "no label", "no alternative", "no name", "contrast 1.", "5", "landmarks"):
        assert each in told, told
