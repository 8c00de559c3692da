"""One endpoint: batches and what replaces them, tags of blocks that a node does not have, chains that are not ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.dm3.canonical import Json
from gateway.ens.endpoint import ASK_AGAIN, REST, Endpoint
from gateway.ens.questions import EndpointFailed, balance_of, transaction_count_of
from gateway.errors import ConfigError
from gateway.ids import EthAddress

ALICE = EthAddress("0x" + "a1" * 20)
BOTH = (balance_of(ALICE), transaction_count_of(ALICE))
SILENT = EndpointFailed("no answer within 4 s")
REFUSED = EndpointFailed("ClientResponseError", refused=True)
NOT_FOUND: dict[str, Json] = {"error": {"code": -32000, "message": "finalized block not found"}}


class Node:
    """A node of chain 1 behind a wire: answers by method, or as a test says."""

    def __init__(self) -> None:
        self.now = 100.0
        self.results: dict[str, Json] = {
            "eth_chainId": "0x1",
            "eth_getBalance": "0x5",
            "eth_getTransactionCount": "0x7",
        }
        self.heights: dict[str, Json] = {"latest": {"number": "0x64"}, "finalized": {"number": "0x50"}}
        self.on_batch: Callable[[list[Any]], Any] = lambda replies: replies
        self.failing: EndpointFailed | None = None
        self.asked: list[str] = []

    async def request(self, method: str, params: list[Json]) -> Any:
        self.asked.append(method + (f" {params[-1]}" if params and isinstance(params[-1], str) else ""))
        if self.failing is not None:
            raise self.failing
        return self._reply(method, params)

    async def batch(self, requests: list[tuple[str, list[Json]]]) -> Any:
        self.asked.append(f"batch of {len(requests)} {requests[0][1][-1]}")
        if self.failing is not None:
            raise self.failing
        return self.on_batch([{"id": 40 + at, **self._reply(*each)} for at, each in enumerate(requests)])

    async def close(self) -> None:
        """Nothing is open."""

    def endpoint(self, url: str = "https://eth.example/v3/secret-key") -> Endpoint:
        return Endpoint(url, self, 1, rest=REST, clock=lambda: self.now)

    def _reply(self, method: str, params: list[Json]) -> dict[str, Json]:
        if method == "eth_getBlockByNumber":
            found = self.heights[str(params[0])]
            return found if isinstance(found, dict) and "error" in found else {"result": found}
        return {"result": self.results[method]}


def failures(answers: list[Any]) -> list[str]:
    return [str(each) for each in answers if isinstance(each, EndpointFailed)]


async def test_several_questions_are_one_batch_and_one_is_none() -> None:
    node = Node()
    endpoint = node.endpoint()
    assert await endpoint.ask(BOTH, "latest") == [5, 7]
    assert await endpoint.ask(BOTH[:1], "latest") == [5]
    assert node.asked == ["eth_chainId", "batch of 2 latest", "eth_getBalance latest"]


def without_second(replies: list[Any]) -> Any:
    return replies[:1]


BATCHES_THAT_ARE_NONE: list[Callable[[list[Any]], Any]] = [
    lambda replies: {"error": {"code": -32600, "message": "no batches"}},
    lambda replies: None,
    lambda replies: [],
    lambda replies: "x",
    without_second,
    lambda replies: [*replies, replies[0]],
    lambda replies: [replies[0], replies[0]],
    lambda replies: [replies[0], {**replies[1], "id": 99}],
    lambda replies: [{**each, "id": None} for each in replies],
    lambda replies: [{**each, "id": str(each["id"])} for each in replies],
    lambda replies: [replies[0], None],
    lambda replies: [[], []],
]


@pytest.mark.parametrize("spoil", BATCHES_THAT_ARE_NONE)
async def test_where_batches_are_refused_or_spoilt_single_requests_do(spoil: Callable[[list[Any]], Any]) -> None:
    """A gap in a batch would give one question the answer of another."""
    node = Node()
    node.on_batch = spoil
    endpoint = node.endpoint()
    with capture_logs() as logs:
        assert await endpoint.ask(BOTH, "latest") == [5, 7]
        assert await endpoint.ask(BOTH, "latest") == [5, 7]
        assert node.asked.count("batch of 2 latest") == 1, "not tried again at once"
        node.now += ASK_AGAIN
        assert await endpoint.ask(BOTH, "latest") == [5, 7]
    assert node.asked.count("batch of 2 latest") == 2
    assert [each["event"] for each in logs] == ["chain.refused"], "told once"
    assert endpoint.resting_until <= node.now, "an endpoint without batches is no failing one"


async def test_an_endpoint_that_is_silent_is_not_asked_once_more_one_by_one() -> None:
    node = Node()
    endpoint = node.endpoint()
    await endpoint.check_chain()
    node.failing = SILENT
    assert failures(await endpoint.ask(BOTH, "latest")) == ["no answer within 4 s"] * 2
    assert node.asked == ["eth_chainId", "batch of 2 latest"]
    assert endpoint.resting_until == node.now + REST


async def test_an_endpoint_that_refuses_everything_fails_and_is_asked_for_batches_again_later() -> None:
    node = Node()
    endpoint = node.endpoint()
    await endpoint.check_chain()
    node.failing = REFUSED
    assert len(failures(await endpoint.ask(BOTH, "latest"))) == 2
    node.failing = None
    assert await endpoint.ask(BOTH, "latest") == [5, 7]
    node.now += ASK_AGAIN
    await endpoint.ask(BOTH, "latest")
    assert node.asked[-1] == "batch of 2 latest"


async def test_one_question_that_fails_leaves_the_others_their_answers() -> None:
    node = Node()
    node.results["eth_getBalance"] = "much"
    endpoint = node.endpoint()
    with capture_logs() as logs:
        answers = await endpoint.ask(BOTH, "latest")
    assert answers[1] == 7
    assert failures(answers) == ["result is no number"]
    (told,) = logs
    assert (told["event"], told["host"], told["method"]) == ("chain.endpoint_failed", "eth.example", "eth_getBalance")
    assert "secret-key" not in str(told)
    assert endpoint.resting_until == node.now + REST


@pytest.mark.attack(39)
async def test_an_endpoint_of_another_chain_is_never_believed() -> None:
    node = Node()
    node.results["eth_chainId"] = "0x5"
    endpoint = node.endpoint()
    with pytest.raises(ConfigError, match=r"eth\.example is of chain 5, not 1"):
        await endpoint.check_chain()
    assert failures(await endpoint.ask(BOTH, "latest")) == ["eth.example is of chain 5, not 1"] * 2
    assert await endpoint.height("latest") is None
    assert set(node.asked) == {"eth_chainId"}
    node.results["eth_chainId"] = "0x1"
    assert await endpoint.ask(BOTH, "latest") == [5, 7], "mended, it is believed"


@pytest.mark.attack(38)
async def test_a_tag_that_the_node_has_is_used_as_it_stands() -> None:
    node = Node()
    endpoint = node.endpoint()
    assert await endpoint.ask(BOTH, "finalized") == [5, 7]
    assert await endpoint.ask(BOTH, "finalized") == [5, 7]
    assert node.asked == ["eth_chainId", "eth_getBlockByNumber", "batch of 2 finalized", "batch of 2 finalized"]
    assert await endpoint.height("finalized") == 0x50


@pytest.mark.parametrize("unknown", [None, NOT_FOUND, {"error": {"code": -32602, "message": "invalid argument 0"}}])
async def test_a_tag_that_the_node_does_not_know_falls_back_to_its_newest_block(unknown: Json) -> None:
    node = Node()
    node.heights["finalized"] = unknown
    endpoint = node.endpoint()
    with capture_logs() as logs:
        for _ in range(3):
            assert await endpoint.ask(BOTH, "finalized") == [5, 7]
            assert await endpoint.height("finalized") == 0x64
    assert node.asked.count("batch of 2 latest") == 3
    assert [(each["event"], each["what"]) for each in logs] == [("chain.refused", "finalized")], "told once"
    node.heights["finalized"] = {"number": "0x50"}
    node.now += ASK_AGAIN
    await endpoint.ask(BOTH, "finalized")
    assert node.asked[-1] == "batch of 2 finalized", "a node that has learned it is taken at its word"


@pytest.mark.attack(38)
@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": -32005, "message": "limit exceeded"}},
        {"error": "broken"},
        {"number": "soon"},
        [],
        "0x50",
    ],
)
async def test_a_node_in_trouble_is_not_taken_for_one_that_does_not_know_the_tag(answer: Json) -> None:
    """Else an overloaded node would let unsettled deposits count."""
    node = Node()
    node.heights["finalized"] = answer
    endpoint = node.endpoint()
    assert len(failures(await endpoint.ask(BOTH, "finalized"))) == 2
    assert not any("latest" in each for each in node.asked)


@pytest.mark.attack(38)
async def test_a_node_that_has_no_newest_block_either_is_in_trouble() -> None:
    node = Node()
    node.heights = {"finalized": None, "latest": None}
    endpoint = node.endpoint()
    assert len(failures(await endpoint.ask(BOTH, "finalized"))) == 2
    assert "batch of 2 latest" not in node.asked


@pytest.mark.parametrize("block", ["latest", "earliest", "0x10"])
async def test_other_blocks_are_never_looked_for_beforehand(block: str) -> None:
    node = Node()
    await node.endpoint().ask(BOTH, block)
    assert node.asked == ["eth_chainId", f"batch of 2 {block}"]


async def test_questions_side_by_side_tell_of_an_unknown_tag_once() -> None:
    node = Node()
    node.heights["finalized"] = None
    endpoint = node.endpoint()
    with capture_logs() as logs:
        await asyncio.gather(*(endpoint.ask(BOTH, "finalized") for _ in range(5)))
    assert [each["event"] for each in logs] == ["chain.refused"]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://eth.example/v3/secret", "eth.example"),
        ("https://user:secret@eth.example:8545/?key=secret", "eth.example"),
        ("http://127.0.0.1:8545", "127.0.0.1"),
        ("nonsense", "?"),
    ],
)
def test_only_the_host_may_be_told(url: str, host: str) -> None:
    assert Node().endpoint(url).host == host
