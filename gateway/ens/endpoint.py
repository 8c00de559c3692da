"""One Ethereum node: whether it is of the right chain, what it refuses, and what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import structlog

from gateway.dm3.canonical import Json
from gateway.ens.questions import Answer, EndpointFailed, Question, answer_of, as_height, as_quantity
from gateway.errors import ConfigError

REST: Final = 15.0
"""Seconds for which an endpoint that failed is asked only after the others."""
ASK_AGAIN: Final = 60.0
"""Seconds after which an endpoint is tried once more with what it refused: a batch, or a block's tag."""
SETTLED: Final = frozenset({"finalized", "safe"})
"""Tags of blocks that a reorganisation does not touch; not every node and chain has them."""
_BATCH: Final = "batch"

log = structlog.get_logger(__name__)


class Wire(Protocol):
    """Carries requests to one node; what it gives back may have any shape. Raises EndpointFailed."""

    async def request(self, method: str, params: list[Json]) -> Any:
        """The response to one request."""

    async def batch(self, requests: list[tuple[str, list[Json]]]) -> Any:
        """The responses to a batch, sorted by their ids."""

    async def close(self) -> None:
        """Close all connections."""


class Endpoint:
    """One node and what was learned of it. ``strict``: a block that it does not have by its tag is a failure.

    ``clock`` gives monotonic seconds.
    """

    def __init__(
        self,
        url: str,
        wire: Wire,
        chain_id: int,
        *,
        rest: float,
        strict: bool = False,
        clock: Callable[[], float],
    ) -> None:
        self.wire = wire
        self.host = urlsplit(url).hostname or "?"
        """What may be logged: paths and queries of RPC URLs hold access keys."""
        self.resting_until = float("-inf")
        self._chain_id = chain_id
        self._rest = rest
        self._strict = strict
        self._clock = clock
        self._chain_checked = False
        self._knows: set[str] = set()
        self._refused_until: dict[str, float] = {}

    async def check_chain(self) -> None:
        """Ask for the chain id; raises ConfigError when it is not ours, EndpointFailed when there is none."""
        found = answer_of(await self.wire.request("eth_chainId", []), as_quantity)
        self._chain_checked = found == self._chain_id
        if not self._chain_checked:
            raise ConfigError(f"{self.host} is of chain {found!r}, not {self._chain_id}")

    async def ask(self, questions: Sequence[Question], block: str) -> list[Answer | EndpointFailed]:
        """Answers in the order of the questions, failures among them; after a failure the endpoint rests."""
        answers: list[Answer | EndpointFailed]
        try:
            if not self._chain_checked:
                await self.check_chain()
            answers = await self._answers(questions, await self._block_at(block))
        except (EndpointFailed, ConfigError) as error:
            answers = [EndpointFailed(str(error))] * len(questions)
        for question, answer in zip(questions, answers, strict=True):
            if isinstance(answer, EndpointFailed):
                self._let_rest(question.method, answer)
                break
        return answers

    async def height(self, tag: str) -> int | None:
        """Number of its block by this tag; None, and it rests, when it does not tell."""
        try:
            if not self._chain_checked:
                await self.check_chain()
            return await self._height(await self._block_at(tag))
        except (EndpointFailed, ConfigError) as error:
            self._let_rest("eth_getBlockByNumber", error)
            return None

    def _let_rest(self, method: str, error: Exception) -> None:
        self.resting_until = self._clock() + self._rest
        log.warning("chain.endpoint_failed", host=self.host, method=method, reason=str(error))

    async def _answers(self, questions: Sequence[Question], block: str) -> list[Answer | EndpointFailed]:
        """By one batch, or by single requests side by side where batches are refused."""
        if len(questions) > 1 and self._may_try(_BATCH):
            try:
                return await self._batch(questions, block)
            except EndpointFailed as error:
                if not error.refused:
                    raise
                self._note_refusal(_BATCH, error)
        return list(await asyncio.gather(*(self._single(question, block) for question in questions)))

    async def _batch(self, questions: Sequence[Question], block: str) -> list[Answer | EndpointFailed]:
        responses = await self.wire.batch([(question.method, question.params(block)) for question in questions])
        if not _is_whole(responses, len(questions)):
            raise EndpointFailed("the answer to a batch is none", refused=True)
        return [_read(response, question) for response, question in zip(responses, questions, strict=True)]

    async def _single(self, question: Question, block: str) -> Answer | EndpointFailed:
        try:
            return _read(await self.wire.request(question.method, question.params(block)), question)
        except EndpointFailed as error:
            return error

    async def _block_at(self, block: str) -> str:
        """``block``, or ``latest`` when the node has a newest block and none by this tag."""
        if block not in SETTLED or block in self._knows or self._strict:
            return block
        if not self._may_try(block):
            return "latest"
        try:
            await self._height(block)
        except EndpointFailed as error:
            if not error.refused:
                raise
            await self._height("latest")
            self._note_refusal(block, error)
            return "latest"
        self._knows.add(block)
        return block

    async def _height(self, tag: str) -> int:
        answer = answer_of(await self.wire.request("eth_getBlockByNumber", [tag, False]), as_height)
        if not isinstance(answer, int):
            raise EndpointFailed("a block was answered as if it were a call")
        return answer

    def _may_try(self, what: str) -> bool:
        return self._clock() >= self._refused_until.get(what, float("-inf"))

    def _note_refusal(self, what: str, error: EndpointFailed) -> None:
        """Told once, however often it is tried again."""
        if what not in self._refused_until:
            log.warning("chain.refused", host=self.host, what=what, reason=str(error))
        self._refused_until[what] = self._clock() + ASK_AGAIN


def _is_whole(responses: Any, count: int) -> bool:
    """Whether a batch was answered without a gap, which would shift the answers: ids are counted up by one."""
    if not isinstance(responses, list) or len(responses) != count:
        return False
    ids = [response.get("id") if isinstance(response, dict) else None for response in responses]
    return isinstance(ids[0], int) and ids == list(range(ids[0], ids[0] + count))


def _read(response: object, question: Question) -> Answer | EndpointFailed:
    try:
        return answer_of(response, question.read)
    except EndpointFailed as error:
        return error
