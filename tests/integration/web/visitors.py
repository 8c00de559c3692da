"""Somebody with a browser: a context of their own, and whatever went wrong in it."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, async_playwright

from tests.integration.web.injected import InjectedWallet
from tests.support.house import House
from tests.support.require import require

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
ARGS: Final = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")
PATIENCE_MS: Final = 30_000
ONE_LOOP: Final = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("pages")]
"""Marks of these modules: one browser and one gateway for all of them."""
ANOTHER_LOOP: Final = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("more pages")]
"""The same for a second worker, when there is one."""
_VIOLATIONS: Final = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""
_numbers = itertools.count(1)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """One browser; skips when there is none."""
    require(CHROMIUM, "chromium is not installed (apt-get install chromium fonts-dejavu-core)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGS))
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Visitor:
    """A person at a page; `problems` are errors of the console, violations of the policy, requests to elsewhere."""

    house: House
    context: BrowserContext
    page: Page
    wallets: tuple[InjectedWallet, ...] = ()
    problems: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    async def goto(self, path: str) -> None:
        """Open a page of the gateway."""
        await self.page.goto(self.house.url + path)

    def expect(self, text: str) -> None:
        """The browser will complain like this, and it is what the test is about."""
        self.expected.append(text)

    def unexpected(self) -> list[str]:
        """Problems that nobody expected."""
        return [each for each in self.problems if not any(text in each for text in self.expected)]

    def role(self, role: Any, name: str) -> Locator:
        """Something by its role and its name for a screen reader."""
        return self.page.get_by_role(role, name=name)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.text} ({message.location.get('url')})")

    def _request(self, request: Request) -> None:
        parts, own = urlsplit(request.url), urlsplit(self.house.url)
        if parts.scheme not in ("data", "blob") and (parts.scheme, parts.netloc) != (own.scheme, own.netloc):
            self.problems.append(f"a request to elsewhere: {request.url}")


@asynccontextmanager
async def visiting(
    house: House, browser: Browser, *wallets: InjectedWallet, announced: bool = True, **context: Any
) -> AsyncIterator[Visitor]:
    """A new person; at the end nothing may have gone wrong that was not expected."""
    number = next(_numbers)
    # Each comes from an address of their own, so that the rates of one do not meet another.
    headers = {"x-forwarded-for": f"10.1.{number // 250}.{number % 250 + 1}"}
    options: dict[str, Any] = {"locale": "en-GB", "extra_http_headers": headers, **context}
    made = await browser.new_context(**options)
    try:
        made.set_default_timeout(PATIENCE_MS)
        await made.add_init_script(_VIOLATIONS)
        for wallet in wallets:
            await wallet.install(made, announced=announced)
        page = await made.new_page()
        visitor = Visitor(house, made, page, wallets)
        made.on("console", visitor._console)
        made.on("weberror", lambda error: visitor.problems.append(f"an exception: {error.error}"))
        made.on("request", visitor._request)
        yield visitor
        assert visitor.unexpected() == []
    finally:
        await made.close()
