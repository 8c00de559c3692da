"""The operator pages in a browser: fit for everybody, with pictures for somebody to look at, and worked by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final, Literal, cast

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from gateway.custody.identities import Identities
from gateway.store.identities import IssueIdentity
from gateway.store.jobs import Enqueue, JobState, NewJob, lane_key
from gateway.store.overview import JobNumbered
from tests.integration.subnames.wallets import Wallet
from tests.integration.web.injected import InjectedWallet
from tests.integration.web.looks import faults, walk_by_tab
from tests.integration.web.operators import OWNER_KEY, WORDS, Office, fill, operating
from tests.integration.web.test_looks import LOOKS, PICTURED, PICTURES
from tests.integration.web.visitors import ONE_LOOP, Visitor, visiting
from tests.support.adapters import PaperAdapter

pytestmark = ONE_LOOP

PATHS: Final = {
    "overview": "/admin",
    "queue": "/admin/queue",
    "queue-names": "/admin/queue?names=1",
    "failures": "/admin/failures",
    "trace-failed": "/admin/trace?failure=1&names=1",
    "trace-none": "/admin/trace",
    "names": "/admin/names",
    "doctor": "/admin/doctor",
    "audit": "/admin/audit",
    "error": "/admin/no-such-page",
}
EMPTY: Final = ("overview", "queue", "failures", "names", "doctor", "audit")
PATIENCE_MS: Final = 30_000
"""For what asks anew every ten seconds, and for the doctor."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with operating(tmp_path_factory.mktemp("office") / "house") as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled(office: Office) -> Office:
    """With a queue, failures, names and people; tests that need it empty stand before."""
    store = office.house.gateway.store
    office.jobs = await fill(store)
    for label in ("margarethe", "theodor", "žofie"):
        assert (await Wallet(office.house, OWNER_KEY).claim(f"{label}.gw.eth")).status_code == 201
    people = Identities(office.house.gateway._parts.keyring, office.house.gateway.parent)
    for number in range(3):
        drafted = people.draft(PaperAdapter.name, f"person-{number}@example.org", now_ms=store.clock())
        await store.commit(IssueIdentity(drafted))
    return office


Comes = Callable[..., Awaitable[Visitor]]


@pytest_asyncio.fixture(loop_scope="session")
async def comes(office: Office, browser: Browser) -> AsyncIterator[Comes]:
    """An operator with a browser; logged in unless a test does it."""
    async with AsyncExitStack() as stack:

        async def come(*wallets: InjectedWallet, logged_in: bool = True, **context: Any) -> Visitor:
            visitor = await stack.enter_async_context(visiting(office.pages, browser, *wallets, **context))
            if logged_in:
                await log_in(visitor, office.token)
            return visitor

        yield come


async def log_in(visitor: Visitor, token: str) -> None:
    await visitor.goto("/admin")
    await visitor.page.get_by_label("Token", exact=True).fill(token)
    await visitor.page.keyboard.press("Enter")
    await expect(visitor.role("navigation", "Operator pages")).to_be_visible()


async def looked_at(visitor: Visitor, scene: str, subtests: pytest.Subtests) -> None:
    for look, (colours, width) in LOOKS.items():
        with subtests.test(scene=scene, look=look):
            await visitor.page.emulate_media(color_scheme=cast(Literal["light", "dark"], colours))
            await visitor.page.set_viewport_size({"width": width, "height": 800})
            if look in PICTURED:
                await visitor.page.screenshot(path=PICTURES / look / f"admin-{scene}.png", full_page=True)
            assert await faults(visitor.page) == []


async def test_empty_pages_say_what_they_are_for(office: Office, comes: Comes, subtests: pytest.Subtests) -> None:
    visitor = await comes(logged_in=False, reduced_motion="reduce")
    await visitor.goto("/admin")
    await looked_at(visitor, "login", subtests)
    await log_in(visitor, office.token)
    for scene in EMPTY:
        await visitor.goto(PATHS[scene])
        if scene != "audit":
            await expect(visitor.page.locator(".empty").first).to_be_visible()
        await looked_at(visitor, f"{scene}-empty", subtests)


async def test_every_page_is_fit_for_everybody(filled: Office, comes: Comes, subtests: pytest.Subtests) -> None:
    visitor = await comes(reduced_motion="reduce")
    visitor.expect("404")
    lane = lane_key("dm3", b"failing".hex().ljust(32, "0"))
    scenes = {
        **PATHS,
        "lane": f"/admin/queue/lane?name={lane}",
        "trace-held": f"/admin/trace?job={filled.jobs['held']}",
        "trace-failing": f"/admin/trace?job={filled.jobs['failing']}",
    }
    for scene, path in scenes.items():
        await visitor.goto(path)
        await looked_at(visitor, scene, subtests)
    await visitor.goto(f"/admin/trace?job={filled.jobs['failing']}")
    await visitor.role("button", "Drop").click()
    await looked_at(visitor, "sure", subtests)
    for path in ("/admin", "/admin/queue", scenes["trace-held"]):
        await visitor.page.set_viewport_size({"width": 1280, "height": 800})
        await visitor.goto(path)
        reached = await walk_by_tab(visitor.page)
        assert "Skip to the content" in reached[0]


async def test_a_job_is_held_and_dropped_by_hand_and_tables_sort_and_live(filled: Office, comes: Comes) -> None:
    visitor = await comes()
    store = filled.house.gateway.store
    await visitor.goto("/admin/queue")
    lanes = visitor.page.locator("#lane-table tbody tr")
    first = lanes.first
    await expect(first).to_contain_text("Failing")
    await visitor.role("button", "Waiting").click()
    await expect(visitor.role("columnheader", "Waiting")).to_have_attribute("aria-sort", "ascending")
    await visitor.role("button", "Waiting").click()
    await expect(first).to_contain_text("Failing")
    await visitor.role("button", "Lane").click()
    await expect(first).to_contain_text("Delivery services")

    # What comes meanwhile appears by itself, and the order that was chosen stays.
    count = await lanes.count()
    await visitor.page.locator("main").focus()
    now = store.clock()
    await store.commit(Enqueue(NewJob(lane_key("paper", "new"), "inbound", WORDS.encode(), now, now + 60_000)))
    await expect(lanes).to_have_count(count + 1, timeout=PATIENCE_MS)
    await expect(visitor.role("columnheader", "Lane")).to_have_attribute("aria-sort", "ascending")

    behind = filled.jobs["behind"]
    await visitor.goto(f"/admin/trace?job={behind}")
    await visitor.role("button", "Hold").click()
    await visitor.role("link", "Leave as it is").click()
    await visitor.role("button", "Hold").click()
    await visitor.role("button", "Hold this job").click()
    await expect(visitor.page.get_by_role("status").first).to_contain_text("1 job set aside.")
    await expect(visitor.page.locator(".stages")).to_contain_text("Nobody was told")
    await visitor.role("button", "Drop").click()
    await visitor.page.get_by_label("Tell nobody").check()
    await visitor.role("button", "Drop this job").click()
    await expect(visitor.page.locator("main")).to_contain_text("1 job dropped.")
    assert await store.read(JobNumbered(behind)) is None
    await visitor.goto("/admin/audit")
    for told in ("queue.held", "queue.dropped", f"job:{behind}"):
        await expect(visitor.page.locator("main")).to_contain_text(told)
    await visitor.role("button", "Verify the log").click()
    await expect(visitor.page.locator(".note")).to_contain_text("Whole")


async def test_a_wallet_logs_in_and_the_doctor_looks_again(filled: Office, comes: Comes) -> None:
    owner = InjectedWallet(filled.house.chain.chain_id, OWNER_KEY)
    visitor = await comes(owner, logged_in=False)
    await visitor.goto("/admin/doctor")
    await visitor.role("button", "Sign with a wallet").click()
    await expect(visitor.role("heading", "Doctor")).to_be_visible()
    assert "Log in as an operator of gw.eth." in owner.texts[0]
    visitor.page.set_default_timeout(PATIENCE_MS)
    await visitor.role("button", "Check now").click()
    await expect(visitor.role("button", "Check again")).to_be_visible(timeout=PATIENCE_MS)
    findings = visitor.page.locator(".findings li")
    assert await findings.count() > 0
    await visitor.page.screenshot(path=PICTURES / "light" / "admin-doctor-found.png", full_page=True)
    assert await faults(visitor.page) == []
    await visitor.role("button", "Log out").click()
    await expect(visitor.role("heading", "Log in")).to_be_visible()

    stranger = InjectedWallet(filled.house.chain.chain_id)
    other = await comes(stranger, logged_in=False)
    other.expect("401")
    await other.goto("/admin")
    await other.role("button", "Sign with a wallet").click()
    await expect(other.page.locator("#by-wallet")).to_contain_text("not in admin.owners")
    assert stranger.texts == []


async def test_all_is_readable_without_scripts(filled: Office, comes: Comes) -> None:
    visitor = await comes(java_script_enabled=False)
    for path, told in {
        "/admin": "What waits",
        "/admin/queue": "Failing",
        "/admin/failures": "Given up",
        "/admin/audit": "admin.entered",
    }.items():
        await visitor.goto(path)
        await expect(visitor.page.locator("main")).to_contain_text(told)
    failing = filled.jobs["failing"]
    await visitor.goto(f"/admin/trace?job={failing}")
    await visitor.role("button", "Retry").click()
    await expect(visitor.page.locator("main")).to_contain_text("1 job to be tried again.")
    found = await filled.house.gateway.store.read(JobNumbered(failing))
    assert found is not None
    assert (found.state, found.attempts) == (JobState.READY, 0)
