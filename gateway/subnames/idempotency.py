"""Requests that a program may safely send again (draft-ietf-httpapi-idempotency-key-header).

The first request with a key is done and its answer kept for a day; a repeat gets that answer, from whichever node it
meets. A key belongs to one caller and to one request: the same key for something else is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.dm3.canonical import Json
from gateway.errors import GatewayError, InvalidInput, KeyReused, RequestUnderWay, Unavailable
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.idempotency import UNDER_WAY, ClaimRequest, DropClaim, KeepAnswer

log = structlog.get_logger(__name__)

HEADER: Final = "Idempotency-Key"
KEPT_MS: Final = 24 * 3600 * 1000
WORK_SECONDS: Final = 120.0
"""For which one request may be worked on."""
ABANDONED_MS: Final = 180_000
"""After which another node takes over. Longer than the work may take, so that nothing is done twice at a time."""
MAX_KEY: Final = 255
_TEXT: Final = re.compile(r"[!-~]{1,255}\Z")
_NOT_KEPT: Final = frozenset({401, 408, 425, 429})
"""Refusals that the same request need not meet again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP request is answered with; ``body`` is JSON."""

    status: int
    body: Json

    @property
    def is_kept(self) -> bool:
        """A server's own fault, or a refusal that passes, is no result of the request."""
        return 200 <= self.status < 500 and self.status not in _NOT_KEPT


Work = Callable[[], Awaitable[Answer]]


class Idempotency:
    """``answer_of`` makes the answer of a refusal that the work raises, as the API around it does.

    Without it refusals are not kept: they are raised, and a repeat is done anew.
    """

    def __init__(
        self, *, store: Store, clock: Clock, answer_of: Callable[[GatewayError], Answer] | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._answer_of = answer_of
        self._running: set[asyncio.Task[Answer]] = set()

    async def run(self, caller: str, key: str | None, request: bytes, work: Work) -> Answer:
        """Do ``work`` for ``caller`` once; without a key each time.

        ``key`` is the header's value, ``request`` a digest of what is asked (see ``request_digest``). Raises
        InvalidInput for a key that is none, KeyReused (422), RequestUnderWay (409) while another request with this
        key is worked on, and what the work raises. The work goes on when the caller hangs up.
        """
        if key is None:
            return await work()
        name, now = key_of(key), self._clock()
        known = await self._store.commit(ClaimRequest(caller, name, request, now, now - ABANDONED_MS, now - KEPT_MS))
        if known is None:
            task = asyncio.create_task(self._do(caller, name, now, work))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            return await asyncio.shield(task)
        if known.request != request:
            raise KeyReused
        if known.status == UNDER_WAY:
            raise RequestUnderWay
        return Answer(known.status, json.loads(known.body))

    async def _do(self, caller: str, key: str, claimed_at: int, work: Work) -> Answer:
        try:
            async with asyncio.timeout(WORK_SECONDS):
                answer = await self._answer(work)
        except TimeoutError:
            # Whether anything was done is not known, so the claim stays until it counts as abandoned.
            raise Unavailable("the request took too long") from None
        except BaseException:
            with contextlib.suppress(GatewayError):
                await self._store.commit(DropClaim(caller, key, claimed_at))
            raise
        kept: KeepAnswer | DropClaim
        if answer.is_kept:
            body = json.dumps(answer.body, ensure_ascii=False)
            kept = KeepAnswer(caller, key, claimed_at, answer.status, body)
        else:
            kept = DropClaim(caller, key, claimed_at)
        try:
            await self._store.commit(kept)
        except GatewayError as error:
            # It was done all the same; a repeat is told that it is under way, and later meets what was done.
            log.warning("idempotency.not_kept", error=type(error).__name__)
        return answer

    async def _answer(self, work: Work) -> Answer:
        try:
            return await work()
        except GatewayError as error:
            if self._answer_of is None or not self._answer_of(error).is_kept:
                raise
            return self._answer_of(error)


def key_of(header: str) -> str:
    """The key in the header: a string in double quotes (RFC 8941, 3.3.3) or, as most programs write it, without.

    Raises InvalidInput.
    """
    text = header.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if not _TEXT.match(text) or '"' in text or "\\" in text:
        raise InvalidInput(f"{HEADER} must be 1 to {MAX_KEY} visible ASCII characters")
    return text


def request_digest(method: str, path: str, body: bytes) -> bytes:
    """32 bytes that tell two requests apart."""
    digest = hashlib.sha256()
    for part in (method.encode(), path.encode(), body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()
