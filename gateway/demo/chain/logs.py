"""Event filters of eth_getLogs (Ethereum execution API)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.demo.chain import params
from gateway.demo.chain.blocks import LogEntry, MinedBlock, MinedTransaction
from gateway.demo.chain.evm import DevChain
from gateway.dm3.canonical import Json, JsonObject
from gateway.errors import InvalidParams, LimitExceeded

MAX_RESULTS: Final = 10_000
_MAX_TOPICS: Final = 4


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which events are wanted; an empty set or a None takes all."""

    addresses: frozenset[bytes]
    topics: tuple[frozenset[bytes] | None, ...]

    def matches(self, entry: LogEntry) -> bool:
        """True when the event is wanted."""
        if self.addresses and entry.address not in self.addresses:
            return False
        if len(self.topics) > len(entry.topics):
            return False
        return all(wanted is None or found in wanted for wanted, found in zip(self.topics, entry.topics, strict=False))


def find_logs(chain: DevChain, query: JsonObject) -> Iterator[tuple[MinedBlock, MinedTransaction, LogEntry]]:
    """The events that a filter object asks for, oldest first.

    Raises InvalidParams, UnknownBlock, or LimitExceeded past ``MAX_RESULTS``.
    """
    wanted = _filter(query)
    count = 0
    for block in _blocks(chain, query):
        for transaction in block.transactions:
            for entry in filter(wanted.matches, transaction.logs):
                count += 1
                if count > MAX_RESULTS:
                    raise LimitExceeded(f"more than {MAX_RESULTS} results")
                yield block, transaction, entry


def _blocks(chain: DevChain, query: JsonObject) -> tuple[MinedBlock, ...]:
    if query.get("blockHash") is not None:
        if query.get("fromBlock") is not None or query.get("toBlock") is not None:
            raise InvalidParams("blockHash goes with neither fromBlock nor toBlock")
        return (chain.block(params.fixed(query["blockHash"], 32)),)
    return chain.blocks(_height(chain, query.get("fromBlock")), _height(chain, query.get("toBlock")))


def _height(chain: DevChain, value: Json) -> int:
    ref = params.block_ref(value)
    return ref if isinstance(ref, int) else chain.block(ref).number


def _filter(query: JsonObject) -> LogFilter:
    addresses = query.get("address")
    listed = addresses if isinstance(addresses, list) else [] if addresses is None else [addresses]
    topics = query.get("topics")
    if topics is None:
        topics = []
    if not isinstance(topics, list) or len(topics) > _MAX_TOPICS:
        raise InvalidParams(f"topics must be a list of at most {_MAX_TOPICS}")
    return LogFilter(frozenset(params.fixed(item, 20) for item in listed), tuple(_topic(item) for item in topics))


def _topic(value: Json) -> frozenset[bytes] | None:
    if value is None:
        return None
    return frozenset(params.fixed(item, 32) for item in (value if isinstance(value, list) else [value]))
