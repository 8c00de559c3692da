"""Whether a name of ours really resolves: looked up as everybody else does it, through the chain and CCIP-read."""

from __future__ import annotations

import time
from typing import Final

from gateway.dm3.eth import checksum
from gateway.ens.lookup import Ens
from gateway.errors import ChainUnavailable, FetchFailed, FetchRefused, GatewayError, InvalidInput, UnknownName
from gateway.ids import EnsName, EthAddress
from gateway.subnames.forms import ResolutionOut

LATER: Final = "Nothing is lost. Try again in a minute; if it lasts, tell the operator."


class Resolution:
    """Asks the registry for the resolver, the contract for the name, the gateway that it names, the contract again."""

    def __init__(self, ens: Ens, *, public_url: str, chain_id: int) -> None:
        self._ens = ens
        self._public_url = public_url
        self._chain_id = chain_id

    async def look(self, name: EnsName, expected: EthAddress | None) -> ResolutionOut:
        """What the chain says of ``name``, which should be ``expected``; a look-up that fails is an answer, too."""
        started = time.monotonic()
        resolver, address = None, None
        try:
            found = await self._ens.resolver_of(name)
            if found is None:
                reason = f"no resolver is set for {name} in the ENS registry of chain {self._chain_id}"
                advice = "The operator has to set this gateway's resolver contract for the parent name."
            else:
                resolver = found.address
                address = await self._ens.address(name, at=found)
                reason, advice = self._judged(address, expected)
        except (ChainUnavailable, FetchFailed, FetchRefused, UnknownName, InvalidInput) as error:
            reason, advice = self._failed(error)
        return ResolutionOut(
            name=name,
            resolves=not reason,
            resolver=None if resolver is None else checksum(resolver),
            address=None if address is None else checksum(address),
            chain_id=self._chain_id,
            took_ms=round((time.monotonic() - started) * 1000),
            reason=reason or None,
            advice=advice or None,
        )

    def _judged(self, address: EthAddress | None, expected: EthAddress | None) -> tuple[str, str]:
        if address is None and expected is None:
            return "the name has no address record", "Its owner can add the record addr."
        if address is None:
            return (
                "the chain leads to a gateway that does not know this name",
                f"The operator should check that the resolver contract names {self._public_url}.",
            )
        if address != expected:
            return (
                f"the chain says {checksum(address)}, which is not the address of this name here",
                "Answers may be kept for some minutes after a change. Try again then.",
            )
        return "", ""

    def _failed(self, error: GatewayError) -> tuple[str, str]:
        match error:
            case ChainUnavailable():
                return "the Ethereum node that this gateway asks does not answer", LATER
            case FetchFailed():
                advice = (
                    f"that the contract names {self._public_url}, that it can be reached, and that it is the signer."
                )
                return (
                    "the gateway that the resolver contract names gave no answer that the contract accepts",
                    f"Try again in a minute. If it stays, the operator should check {advice}",
                )
            case FetchRefused():
                return (
                    "the resolver contract names a gateway that must not be asked",
                    f"The operator should check that the contract names {self._public_url}.",
                )
            case UnknownName():
                return (
                    "the gateway that the resolver contract names denies this name",
                    f"The operator should check that the contract names {self._public_url}.",
                )
        return "the answer from the chain is malformed", "Tell the operator which name this happened with."
