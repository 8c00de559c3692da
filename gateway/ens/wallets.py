"""Signatures of wallets, those of contracts among them (ERC-1271)."""

from __future__ import annotations

from typing import Final, Protocol

from gateway.dm3.encoding import from_hex
from gateway.dm3.eth import eip191_hash, recover
from gateway.ens.abi import dynamic_bytes, pack
from gateway.ens.chain import CallReverted
from gateway.errors import BadSignature, InvalidInput
from gateway.ids import EthAddress

IS_VALID_SIGNATURE: Final = bytes.fromhex("1626ba7e")
"""isValidSignature(bytes32 hash, bytes signature); what it returns for a valid one, padded on the right."""
MAX_SIGNATURE: Final = 4_096
"""Bytes; contracts of several signers take one behind the other."""


class Calls(Protocol):
    """The chain as it is used here."""

    async def eth_call(self, to: EthAddress, data: bytes, block: str = "latest") -> bytes:
        """See ``gateway.ens.chain.Chain.eth_call``."""


class Wallets:
    """Says whether an address signed something: a key by itself, a contract when it is asked at ``block``.

    A settled block, so that nobody gains by a reorganisation; who changed the keys of a contract waits until then.
    """

    def __init__(self, chain: Calls, *, block: str = "finalized") -> None:
        self._chain = chain
        self._block = block

    async def signed_text(self, address: EthAddress, text: str, signature: str) -> bool:
        """Whether it is the personal_sign (ERC-191) of ``text``. Raises InvalidInput, ChainUnavailable."""
        return await self.signed(address, eip191_hash(text.encode()), signature)

    async def signed(self, address: EthAddress, digest: bytes, signature: str) -> bool:
        """Whether ``signature`` (0x hex) over a 32-byte digest is by ``address``.

        The chain is asked only when no key of that address made it. Raises InvalidInput for what is no hex or too
        long, ChainUnavailable.
        """
        if len(signature) > 2 * MAX_SIGNATURE + 2:
            raise InvalidInput(f"a signature of more than {MAX_SIGNATURE} bytes")
        given = from_hex(signature, "signature", length=None)
        try:
            if recover(digest, given) == address:
                return True
        except BadSignature:
            pass
        call = IS_VALID_SIGNATURE + pack(digest, dynamic_bytes(given))
        try:
            answer = await self._chain.eth_call(address, call, self._block)
        except CallReverted:
            return False
        return answer == IS_VALID_SIGNATURE.ljust(32, b"\0")
