"""The names: what registry and contract say of us, and whether a look-up comes to its end as a client makes it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from gateway.dm3.eth import address_bytes, address_from_bytes, checksum, keccak256, parse_address
from gateway.ens.abi import address_word, read_address, read_bytes_array, word
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens
from gateway.ens.names import namehash
from gateway.ens.together import both
from gateway.errors import ChainUnavailable, GatewayError, InvalidInput
from gateway.ids import EnsName, EthAddress
from gateway.operations.answer_probe import signed_answer
from gateway.operations.checks.installation import ASK_SECONDS, CHECK_SECONDS, Installation, asking
from gateway.operations.checks.servers import call, head
from gateway.operations.installation import parent_name
from gateway.resolver.opening import open_signer
from gateway.resolver.sources import DELIVERY_SERVICE_KEY
from gateway.sdk.examination import Check, Finding, all_at_once, bad, good, poor

RESOLVER: Final = keccak256(b"resolver(bytes32)")[:4]
URLS: Final = keccak256(b"urls()")[:4]
SIGNERS: Final = keccak256(b"signers(address)")[:4]
MARGIN_SECONDS: Final = 5
"""An answer lives at least so long after the newest block, or slow clients get none."""
_NOBODY: Final = EthAddress("0x" + "00" * 20)
_RUN: Final = "start the gateway; see that server.public_url leads to it, from here as well"


async def names(house: Installation) -> Sequence[Finding]:
    """All checks of names."""
    if not house.settings.ens.resolver_addresses:
        return [await _no_contract(house)]
    contract = parse_address(house.settings.ens.resolver_addresses[0])
    async with asking() as client, lookups(house) as ens:
        checks: dict[str, Check] = {
            "resolver": lambda: _resolver(house, client),
            "contract": lambda: _contracts(house, client),
            "get": lambda: _answers(house, client, contract, post=False),
            "post": lambda: _answers(house, client, contract, post=True),
            "nobody": lambda: _nobody(house, client, contract),
            "look-up": lambda: _look_up(house, ens),
        }
        return await all_at_once(checks, CHECK_SECONDS)


async def _no_contract(house: Installation) -> Finding:
    """What the contract is to be deployed with."""
    signer = (await open_signer(house.settings.ens)).address
    fix = (
        f"deploy OffchainResolver (deploy/README.md) with the arguments below, make it the resolver of {house.parent} "
        "in the registry, and write its address into ens.resolver_addresses"
    )
    found = "ens.resolver_addresses names no contract, so no look-up is answered"
    url = f"{house.url}/ccip/<address of the contract>/{{data}}.json?via={{sender}}"
    return bad("contract", found, fix, f'urls:    ["{url}"]', f'signers: ["{checksum(signer)}"]')


@asynccontextmanager
async def lookups(house: Installation) -> AsyncIterator[Ens]:
    """Names as every client looks them up: registry, contract, gateway, contract."""
    settings = house.settings.chain
    chain = Chain(settings.rpc_urls, settings.chain_id, quorum=settings.quorum, timeout=ASK_SECONDS)
    async with asking() as client:
        try:
            yield Ens(chain, parse_address(settings.ens_registry), client)
        finally:
            await chain.close()


async def _call(house: Installation, client: GuardedClient, to: EthAddress, data: bytes) -> bytes:
    """Of the first server that answers; raises ChainUnavailable, InvalidInput."""
    failure: GatewayError = ChainUnavailable("no server of the chain answers")
    for url in house.settings.chain.rpc_urls:
        try:
            return await call(client, url, to, data)
        except (ChainUnavailable, InvalidInput) as error:
            failure = error
    raise failure


async def _resolver(house: Installation, client: GuardedClient) -> list[Finding]:
    """Of every parent, in the registry."""
    others = [parent_name(each.name) for each in house.settings.subnames.parents]
    return list(await asyncio.gather(*(_resolver_of(house, client, each) for each in (house.parent, *others))))


async def _resolver_of(house: Installation, client: GuardedClient, parent: EnsName) -> Finding:
    ours = [parse_address(each) for each in house.settings.ens.resolver_addresses]
    registry = parse_address(house.settings.chain.ens_registry)
    said = await _call(house, client, registry, RESOLVER + namehash(parent))
    found = address_from_bytes(read_address(said, 0)) if len(said) == 32 else _NOBODY
    fix = f"let the owner of {parent} call setResolver(namehash, {checksum(ours[0])}) on the registry"
    if found == _NOBODY:
        return bad("resolver", f"{parent} has no resolver in the registry", fix)
    if found not in ours:
        found_here = f"the resolver of {parent} is {checksum(found)}, which ens.resolver_addresses does not name"
        return bad("resolver", found_here, f"{fix}, or put that one into ens.resolver_addresses")
    return good("resolver", f"the resolver of {parent} is {checksum(found)}")


async def _contracts(house: Installation, client: GuardedClient) -> list[Finding]:
    signer = (await open_signer(house.settings.ens)).address
    contracts = [parse_address(each) for each in house.settings.ens.resolver_addresses]
    found = await asyncio.gather(*(_contract(house, client, each, signer) for each in contracts))
    return [each for findings in found for each in findings]


async def _contract(
    house: Installation, client: GuardedClient, contract: EthAddress, signer: EthAddress
) -> list[Finding]:
    """Its gateways and its signers."""
    try:
        said = await _call(house, client, contract, URLS)
        urls = [each.decode() for each in read_bytes_array(said, 0, max_items=8, max_bytes=512)]
        listed = await _call(house, client, contract, SIGNERS + address_word(address_bytes(signer)))
    except (InvalidInput, UnicodeDecodeError):
        fix = "name the OffchainResolver that was deployed for this gateway in ens.resolver_addresses"
        return [bad("contract", f"{checksum(contract)} is no contract that names gateways and signers", fix)]
    return [gateways(urls, house.url, contract), _signer(contract, signer, listed == word(1))]


def gateways(urls: Sequence[str], public_url: str, contract: EthAddress) -> Finding:
    """Whether clients that follow the contract come to us. Pure."""
    wanted = f"{public_url}/ccip/{contract}/{{data}}.json?via={{sender}}"
    fix = f"let the contract's owner call setURLs with: {wanted}"
    ours = [url for url in urls if url.startswith(f"{public_url}/ccip")]
    if not ours:
        return bad(
            "gateways", f"the contract does not send clients to {public_url}: {', '.join(urls) or 'no URL'}", fix
        )
    if not any(contract in url.lower() for url in ours):
        found = "its URL does not hold the contract's own address: clients of ENS's universal resolver get no answer"
        return bad("gateways", found, fix)
    if not any("{data}" in url for url in ours):
        return poor("gateways", "its URL does not hold {data}: clients ask by POST only", fix)
    return good("gateways", f"the contract sends clients to {public_url}, one of {len(urls)}")


def _signer(contract: EthAddress, signer: EthAddress, listed: bool) -> Finding:
    if listed:
        return good("signer", f"the contract believes our key, {checksum(signer)}")
    fix = f"let the owner of {checksum(contract)} call addSigner({checksum(signer)})"
    return bad("signer", f"the contract does not believe our key, {checksum(signer)}: every look-up fails", fix)


async def _answers(house: Installation, client: GuardedClient, contract: EthAddress, *, post: bool) -> list[Finding]:
    """What the running gateway answers, over its public address, and for how long that holds."""
    check = "post" if post else "get"
    try:
        answer = await signed_answer(client, house.url, contract, house.service, post=post)
    except GatewayError as error:
        return [bad(check, error.detail, _RUN)]
    signer = (await open_signer(house.settings.ens)).address
    if answer.signer != signer:
        found = f"the gateway there signs as {checksum(answer.signer)}, and this installation as {checksum(signer)}"
        return [bad(check, found, "see whether server.public_url leads to another gateway, or its key was not reread")]
    findings = [good(check, f"{house.url} answers {check.upper()}, signed by our key")]
    if not post:
        newest = (await head(client, house.settings.chain.rpc_urls[0])).time
        findings.append(life(answer.expires, newest, time.time(), house.settings.ens.answer_ttl))
    return findings


def life(expires: int, newest: int, now: float, ttl: int) -> Finding:
    """Whether contract and clients take an answer of this end. Pure; seconds since 1970."""
    left = expires - max(newest, now)
    fix = "see clock: the gateway's is wrong, or that of this machine"
    if left < MARGIN_SECONDS:
        return bad("expiry", f"answers end {left:+.0f} s from now, or from the newest block", fix)
    if left > ttl + 60:
        return poor("expiry", f"answers hold for {left:.0f} s, and ens.answer_ttl is {ttl}", fix)
    return good("expiry", f"answers hold for {left:.0f} s")


async def _nobody(house: Installation, client: GuardedClient, contract: EthAddress) -> list[Finding]:
    """A name that nobody has is answered, and by nothing."""
    name = EnsName(f"nobody-{secrets.token_hex(8)}.{house.parent}")
    try:
        answer = await signed_answer(client, house.url, contract, name)
    except GatewayError as error:
        return [bad("nobody", f"a name that nobody has is not answered: {error.detail}", _RUN)]
    if any(answer.result[64:]) or any(answer.result[:31]):
        return [bad("nobody", "a name that nobody has was given an address", "see which registry serves it")]
    return [good("nobody", "a name that nobody has gets a signed answer without an address")]


async def _look_up(house: Installation, ens: Ens) -> list[Finding]:
    """The whole way, text and address, as wallets and DM3 clients go it."""
    fix = "put right what is told above, from the registry down"
    try:
        text, _ = await both(ens.text(house.service, DELIVERY_SERVICE_KEY), ens.address(house.service))
    except GatewayError as error:
        return [bad("look-up", f"{house.service} does not resolve: {error.detail or error.sentence}", fix)]
    if not text:
        return [bad("look-up", f"{house.service} has no record {DELIVERY_SERVICE_KEY}", fix)]
    return [good("look-up", f"{house.service} resolves through registry, contract and gateway")]
