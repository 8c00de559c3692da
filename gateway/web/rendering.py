"""Pages from templates: autoescaped, with the headers that each page carries, and nothing from elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi.responses import HTMLResponse

from gateway.errors import GatewayError, NotFound
from gateway.ids import EnsName, Network
from gateway.lifecycle import Clock
from gateway.web.wording import ago, day, exact, network_name, short, told

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES: Final = Path(__file__).parent / "templates"
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; img-src 'self' data:"
)
"""Wallets announce their icons as data (EIP-6963)."""
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}
_TITLES: Final = {
    400: "This cannot be read",
    403: "This is not allowed",
    404: "There is nothing here",
    405: "This is not done here",
    429: "Too much at once",
    503: "Something does not answer",
}
_HELP: Final = {
    400: "Look at the address of this page: something in it is not spelt as it has to be.",
    404: "The address may be mistyped, or what it led to is gone.",
    429: "Wait a minute and load this page again. Nothing was lost.",
    503: "Nothing was lost. Load this page again in a minute; it is not tried again by itself.",
}
_FAULT: Final = "The fault is on our side and is in this server's log. Load this page again in a minute."


@dataclass(frozen=True, slots=True)
class Site:
    """What every page knows of the gateway."""

    parent: EnsName
    service: EnsName
    origin: str
    """Where the pages are at home, as browsers write it."""
    chain_id: int
    claimable: bool
    """Whether anybody may claim names under ``parent``."""
    networks: tuple[Network, ...]


class Renderer:
    """Fills templates. They are read at their first use, in a thread, and kept."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self.site = site
        self.clock = clock

    async def page(self, template: str, status: int = 200, **context: Any) -> HTMLResponse:
        """The page of ``<template>.html``."""
        found = await asyncio.to_thread(lambda: self._environment.get_template(f"{template}.html"))
        text = found.render(context, now=self.clock())
        return HTMLResponse(text, status, headers={**SECURITY_HEADERS, "cache-control": "no-cache"})

    async def failure(self, status: int, sentence: str, detail: str = "") -> HTMLResponse:
        """What went wrong, whether it passes, and what the visitor can do."""
        return await self.page(
            "error",
            status,
            title=_TITLES.get(status, "This did not work"),
            sentence="No page has this address." if sentence == NotFound.sentence else sentence,
            detail="" if detail == sentence else detail,
            help=_HELP.get(status, _FAULT if status >= 500 else ""),
        )

    async def error(self, error: GatewayError) -> HTMLResponse:
        """A named failure; those of ours keep their details to the log."""
        return await self.failure(error.status, error.sentence, error.detail if error.status < 500 else "")

    def _ago(self, at: int) -> str:
        return ago(at, self.clock())

    @cached_property
    def _environment(self) -> Environment:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        made = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        made.globals["site"] = self.site
        made.filters |= {
            "ago": self._ago,
            "day": day,
            "exact": exact,
            "network": network_name,
            "short": short,
            "told": told,
        }
        return made
