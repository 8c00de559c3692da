"""The Ethereum servers: each of them by itself, and whether they say the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from gateway.dm3.eth import parse_address
from gateway.ens.egress import GuardedClient
from gateway.errors import ChainUnavailable, InvalidInput
from gateway.operations.checks.installation import CHECK_SECONDS, Installation, asking
from gateway.operations.checks.servers import Head, ask, block_hash, head, host_of
from gateway.sdk.examination import Check, Finding, all_at_once, bad, good, poor

SLOW_SECONDS: Final = 2.0
LAG: Final = 5
"""Blocks by which a server may be behind another."""
OLD_SECONDS: Final = 180
"""Age of the newest block; Ethereum has one every 12 seconds."""
STALE_SECONDS: Final = 1800
SAME_BELOW: Final = 3
"""Blocks below the newest that all have: the newest ones may still change."""


async def chain(house: Installation) -> Sequence[Finding]:
    """All checks of ``[chain]``."""
    async with asking() as client:
        checks: dict[str, Check] = {
            f"rpc-{number}": lambda url=url, number=number: _server(house, client, url, number)  # type: ignore[misc]
            for number, url in enumerate(house.settings.chain.rpc_urls, 1)
        }
        checks["agreement"] = lambda: _agreement(house, client)
        checks["decision-block"] = lambda: _decision_block(house, client)
        checks["registry"] = lambda: _registry(house, client)
        return await all_at_once(checks, CHECK_SECONDS)


async def _server(house: Installation, client: GuardedClient, url: str, number: int) -> list[Finding]:
    check, host = f"rpc-{number}", host_of(url)
    started = time.monotonic()
    try:
        answer = await ask(client, url, "eth_chainId")
    except (ChainUnavailable, InvalidInput) as error:
        return [bad(check, error.detail, "see that the server runs, and put chain.rpc_urls right")]
    took = time.monotonic() - started
    if answer.result != hex(house.settings.chain.chain_id):
        found = f"{host} is of chain {_number(answer.result)}, and chain.chain_id is {house.settings.chain.chain_id}"
        return [bad(check, found, "name a server of that chain, or put chain.chain_id right")]
    if took > SLOW_SECONDS:
        return [poor(check, f"{host} takes {took:.1f} s for an answer", "use a server that is nearer")]
    return [good(check, f"{host} is of chain {house.settings.chain.chain_id}, and answers in {took * 1000:.0f} ms")]


def _number(result: object) -> str:
    try:
        return str(int(str(result), 16))
    except ValueError:
        return "no number"


async def _agreement(house: Installation, client: GuardedClient) -> list[Finding]:
    """Lag between the servers, their opinion about one block that all have, and the age of the newest."""
    urls = tuple(dict.fromkeys(house.settings.chain.rpc_urls))
    told = await asyncio.gather(*(head(client, url) for url in urls), return_exceptions=True)
    heads = {url: each for url, each in zip(urls, told, strict=True) if isinstance(each, Head)}
    if not heads:
        return [bad("agreement", "no server tells its newest block", "see that one of them answers")]
    findings = [age(max(each.time for each in heads.values()), time.time()), *_lag(heads)]
    if len(urls) == 1:
        return [*findings, good("agreement", f"there is one server, and what {host_of(urls[0])} says is believed")]
    below = max(0, min(each.number for each in heads.values()) - SAME_BELOW)
    hashes = await asyncio.gather(*(block_hash(client, url, below) for url in heads), return_exceptions=True)
    said = {url: each for url, each in zip(heads, hashes, strict=True) if isinstance(each, str)}
    if len(set(said.values())) > 1:
        found = f"they know different blocks {below}: {', '.join(map(host_of, said))}"
        fix = "one of them lies or is on a fork: find out which, take it out of chain.rpc_urls, and set chain.quorum"
        return [*findings, bad("agreement", found, fix)]
    if len(said) < house.settings.chain.quorum:
        found = f"{len(said)} servers tell block {below}, and {house.settings.chain.quorum} must"
        return [*findings, bad("agreement", found, "mend the others, or lower chain.quorum")]
    return [*findings, good("agreement", f"{len(said)} servers know the same block {below}")]


def age(newest: int, now: float) -> Finding:
    """How old the newest block is. Pure; seconds since 1970."""
    seconds = max(0.0, now - newest)
    found = f"the newest block is {seconds:.0f} s old"
    if seconds > STALE_SECONDS:
        return bad("block-age", found, "the servers do not follow the chain, or our clock is ahead (see clock)")
    if seconds > OLD_SECONDS:
        return poor("block-age", found, "see whether the servers are syncing")
    return good("block-age", found)


def _lag(heads: dict[str, Head]) -> list[Finding]:
    top = max(each.number for each in heads.values())
    behind = {url: top - each.number for url, each in heads.items() if top - each.number > LAG}
    if behind:
        found = ", ".join(f"{host_of(url)} is {blocks} blocks behind" for url, blocks in behind.items())
        return [poor("lag", found, "let it sync, or put it last in chain.rpc_urls")]
    return [good("lag", f"all are at block {top} or nearly so")]


async def _decision_block(house: Installation, client: GuardedClient) -> list[Finding]:
    tag = house.settings.chain.decision_block
    for url in house.settings.chain.rpc_urls:
        try:
            await head(client, url, tag)
        except ChainUnavailable as error:
            return [poor("decision-block", error.detail, "see rpc")]
        except InvalidInput:
            fix = f"use servers that know it, or set chain.decision_block: {host_of(url)} is read at its newest block"
            return [poor("decision-block", f"{host_of(url)} has no block by the tag {tag!r}", fix)]
    return [good("decision-block", f"what decides is read at {tag!r}")]


async def _registry(house: Installation, client: GuardedClient) -> list[Finding]:
    registry = house.settings.chain.ens_registry
    try:
        answer = await ask(client, house.settings.chain.rpc_urls[0], "eth_getCode", parse_address(registry), "latest")
    except (ChainUnavailable, InvalidInput) as error:
        return [bad("registry", error.detail, "see rpc")]
    if answer.result in ("0x", None):
        return [bad("registry", f"there is no contract at {registry}", "put chain.ens_registry right")]
    return [good("registry", f"a contract is at {registry}")]
