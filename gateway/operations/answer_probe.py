"""Asking a gateway for a signed answer, to see what it says now and whose signature it gives."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.dm3.canonical import parse_object
from gateway.dm3.eth import recover
from gateway.ens.abi import dynamic_bytes, pack, read_bytes, read_uint
from gateway.ens.egress import GuardedClient
from gateway.ens.names import dns_encode, namehash
from gateway.errors import FetchFailed, GatewayError, InvalidInput
from gateway.ids import EnsName, EthAddress
from gateway.resolver.calls import ADDR, RESOLVE
from gateway.resolver.signer import answer_digest

MAX_ANSWER: Final = 64 * 2**10

_DATA: Final = re.compile(r"0x(?:[0-9a-f]{2})*")


@dataclass(frozen=True, slots=True)
class SignedAnswer:
    """``result`` is what resolve(bytes,bytes) returns, ``expires`` in seconds since 1970."""

    result: bytes
    expires: int
    signer: EthAddress


async def signed_answer(
    client: GuardedClient, url: str, contract: EthAddress, name: EnsName, *, post: bool = False
) -> SignedAnswer:
    """The answer of the gateway at ``url`` to addr(``name``) for ``contract``, by GET or POST. Raises FetchFailed."""
    calldata = RESOLVE + pack(dynamic_bytes(dns_encode(name)), dynamic_bytes(ADDR + namehash(name)))
    data = f"0x{calldata.hex()}"
    try:
        if post:
            fetched = await client.post_json(f"{url}/ccip", {"sender": contract, "data": data})
        else:
            fetched = await client.get(f"{url}/ccip/{contract}/{data}.json", max_redirects=0)
        if fetched.status != 200:
            raise InvalidInput(f"it answers {fetched.status}")
        said = parse_object(fetched.body, max_bytes=MAX_ANSWER, max_depth=4).get("data")
        if not isinstance(said, str) or not _DATA.fullmatch(said):
            raise InvalidInput("no data in the answer")
        answer = bytes.fromhex(said[2:])
        result, expires = read_bytes(answer, 0, max_bytes=MAX_ANSWER), read_uint(answer, 1)
        signature = read_bytes(answer, 2, max_bytes=65)
        signer = recover(answer_digest(contract, expires, calldata, result), signature)
        return SignedAnswer(result, expires, signer)
    except (GatewayError, OverflowError) as error:
        reason = error.detail if isinstance(error, GatewayError) else "no answer of a resolver"
        raise FetchFailed(f"{url} gives no signed answer: {reason}") from None


async def signing_address(client: GuardedClient, url: str, contract: EthAddress, name: EnsName) -> EthAddress:
    """Who signs the answer of the gateway at ``url`` to addr(``name``) for ``contract``. Raises FetchFailed."""
    return (await signed_answer(client, url, contract, name)).signer
