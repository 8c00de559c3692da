"""What the operator pages stand on, and the helpers that all of them use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import Bodies
from gateway.errors import InvalidParams
from gateway.ids import EnsName, Network
from gateway.lifecycle import Clock
from gateway.observability import without_people
from gateway.operations.queue_desk import QueueDesk
from gateway.sdk.examination import Finding
from gateway.store import Store
from gateway.web.admin_access import Access
from gateway.web.admin_view import destination_name, kind_of, size
from gateway.web.rendering import Renderer
from gateway.web.wording import ago

MAX_FORM: Final = 64 * 2**10
MAX_FIELDS: Final = 200

States = Callable[[], Awaitable[Mapping[str, str]]]
"""The state of each component, as `/readyz` has it."""
Examine = Callable[[], Awaitable[Mapping[str, Sequence[Finding]]]]
"""All that `doctor` finds, by group."""
Page = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the pages are made from."""

    store: Store
    clock: Clock
    access: Access
    queue: QueueDesk
    renderer: Renderer
    bodies: Bodies
    states: States
    examine: Examine
    parents: tuple[EnsName, ...]
    networks: tuple[Network, ...]

    async def page(self, request: Request, template: str, **context: Any) -> Response:
        """A page for whoever is logged in; ``here`` marks the part of it in the navigation."""
        return await self.renderer.page(
            f"admin_{template}",
            operator=request.state.actor,
            path=request.url.path,
            kind_of=kind_of,
            destination_name=destination_name,
            size=size,
            span=lambda at: ago(at, self.clock()).removesuffix(" ago"),
            **context,
        )

    async def form(self, request: Request) -> Mapping[str, list[str]]:
        """The fields of a form that was sent; raises InvalidParams, TooLarge."""
        async with self.bodies.body(request.scope, request.receive, max_bytes=MAX_FORM) as body:
            try:
                return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
            except ValueError:
                raise InvalidParams("this is no form") from None


def first(fields: Mapping[str, list[str]], name: str) -> str:
    """The value of a field, empty when there is none."""
    return fields.get(name, [""])[0]


def number(text: str) -> int | None:
    """A number of a row, or None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def hidden(reason: str, *, names: bool) -> str:
    """Why a try failed; without the people in it unless names were asked for."""
    return reason if names else without_people(reason)
