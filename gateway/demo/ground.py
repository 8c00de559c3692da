"""The chain under the demo's world: our own, founded on the spot, or one that the caller gives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from gateway.demo.chain.accounts import Account, accounts
from gateway.demo.chain.ens import ccip_url
from gateway.demo.chain.evm import created_address
from gateway.demo.chain.running import RunningChain, running_chain
from gateway.dm3.data_uri import data_uri
from gateway.dm3.eth import address_bytes, parse_address
from gateway.ens.names import namehash, normalise
from gateway.errors import ConfigError
from gateway.ids import EnsName, EthAddress
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.settings import MAINNET_ENS_REGISTRY
from gateway.store import Store
from gateway.store.names import NameRow, PutName

PROFILE_KEY: Final = "network.dm3.profile"
ECHO_LABELS: Final = ("echo", "early.echo", "ξένος.echo", "💩.echo")
RPC_PATIENCE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class GivenChain:
    """A chain of the caller's, whose resolver contract for the parent asks this gateway."""

    url: str
    resolver: EthAddress
    signer_key_file: Path
    """The key that this contract believes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where names live, and which ones the native people have there."""

    url: str
    chain_id: int
    registry: EthAddress
    universal_resolver: EthAddress | None
    accounts: Mapping[str, Account]
    own: RunningChain | None
    """Set when the chain is ours to write to."""
    native: EnsName
    echoes: tuple[EnsName, ...]
    """All of one wallet."""


@asynccontextmanager
async def own_ground(port: int) -> AsyncIterator[Ground]:
    """A fresh chain on `port`; the native people have names of their own on it."""
    async with running_chain(port) as chain:
        yield Ground(
            url=chain.url,
            chain_id=chain.chain_id,
            registry=chain.registry,
            universal_resolver=chain.universal_resolver,
            accounts=chain.accounts,
            own=chain,
            native=EnsName("native.eth"),
            echoes=tuple(normalise(f"{label}.eth") for label in ECHO_LABELS),
        )


async def given_ground(url: str, parent: EnsName) -> Ground:
    """The caller's chain: nothing is written to it, so the native people's names are under the gateway's parent.

    Raises ConfigError when nobody answers there.
    """
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=RPC_PATIENCE_SECONDS) as http:
            chain_id = int((await http.post(url, json=call)).json()["result"], 16)
    except (httpx2.HTTPError, httpx2.InvalidURL, json.JSONDecodeError, KeyError, TypeError, ValueError):
        raise ConfigError(f"--rpc: {url} does not answer eth_chainId") from None
    return Ground(
        url=url,
        chain_id=chain_id,
        registry=parse_address(MAINNET_ENS_REGISTRY),
        universal_resolver=None,
        accounts=accounts(),
        own=None,
        native=EnsName(f"native.{parent}"),
        echoes=tuple(normalise(f"{label}.{parent}") for label in ECHO_LABELS),
    )


def found_parent(chain: RunningChain, parent: EnsName, public_url: str, signer: EthAddress) -> EthAddress:
    """Register `parent` with an offchain resolver that asks the gateway at `public_url`; the contract's address."""
    owner = chain.accounts["parent-owner"].address
    resolver = chain.ens.deploy_offchain_resolver([ccip_url(public_url)], [signer], owner)
    chain.ens.register(parent, owner, resolver)
    return resolver


def future_resolver(chain: RunningChain) -> EthAddress:
    """Where the next contract of the parent's owner will be."""
    owner = chain.accounts["parent-owner"].address
    return created_address(owner, chain.core.nonce(owner))


def publish(chain: RunningChain, person: Dm3Client, names: tuple[EnsName, ...]) -> None:
    """Register the names for the person's wallet and write address and signed profile into each."""
    profile = data_uri(person.signed_profile().to_text())
    for name in names:
        chain.ens.register(name, person.address)
        chain.ens.set_addr(name, person.address)
        chain.ens.set_text(name, PROFILE_KEY, profile)


async def settle(ground: Ground, store: Store, person: Dm3Client, names: tuple[EnsName, ...]) -> None:
    """Give a native person their names: on our own chain, or as rows that our resolver serves."""
    if ground.own is not None:
        await asyncio.to_thread(publish, ground.own, person, names)
        return
    texts, now = {PROFILE_KEY: data_uri(person.signed_profile().to_text())}, now_ms()
    for name in names:
        row = NameRow(
            name=name,
            node=namehash(name),
            owner=person.address,
            address=address_bytes(person.address),
            coins={},
            texts=texts,
            contenthash=None,
            created_at=now,
            updated_at=now,
        )
        await store.commit(PutName(row))
