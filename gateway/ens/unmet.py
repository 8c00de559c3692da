"""A rule for senders that one of them does not meet, and how that is said to people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.ids import EthAddress

ETHER: Final = 10**18
"""Wei."""
_SHOWN_DECIMALS: Final = 6
"""Of an amount that somebody has; what a rule asks for is told in full."""


class RuleKind(StrEnum):
    """The rule by its name in ``spamFilterRules``."""

    NONCE = "minNonce"
    BALANCE = "minBalance"
    TOKEN_BALANCE = "minTokenBalance"  # noqa: S105 - a token of the chain, not a secret
    OWNS_TOKEN = "ownsToken"  # noqa: S105
    STAKE = "minStake"


@dataclass(frozen=True, slots=True)
class Unmet:
    """What is asked, and what there is; amounts are counts, or integers of the smallest unit (wei)."""

    kind: RuleKind
    required: int
    found: int
    contract: EthAddress | None = None
    token_id: int | None = None

    @property
    def sentence(self) -> str:
        """What the sender lacks, to be read after their name: "needs a balance of at least 0.1 ETH, and has 0.02"."""
        return f"needs {self._needed}, and has {self._had}"

    @property
    def _needed(self) -> str:
        match self.kind:
            case RuleKind.NONCE:
                return f"at least {_counted(self.required, 'sent transaction')}"
            case RuleKind.BALANCE:
                return f"a balance of at least {ether(self.required)} ETH"
            case RuleKind.STAKE:
                return f"a deposit of at least {ether(self.required)} ETH in the contract {self.contract}"
            case RuleKind.TOKEN_BALANCE:
                return f"at least {_counted(self.required, 'smallest unit')} of the token {self.contract}"
            case RuleKind.OWNS_TOKEN if self.token_id is None:
                return f"at least {_counted(self.required, 'token')} of the collection {self.contract}"
            case RuleKind.OWNS_TOKEN:
                return f"at least {self.required} of the token {self.token_id} of the collection {self.contract}"

    @property
    def _had(self) -> str:
        if not self.found:
            return "none"
        return _shown_ether(self.found) if self.kind in (RuleKind.BALANCE, RuleKind.STAKE) else str(self.found)


def ether(wei: int) -> str:
    """The amount in ether, exact, without zeros at its end."""
    whole, rest = divmod(wei, ETHER)
    return f"{whole}.{rest:018}".rstrip("0").rstrip(".")


def _shown_ether(wei: int) -> str:
    """Cut, never rounded up: what is too little must not look like enough."""
    step = 10 ** (18 - _SHOWN_DECIMALS)
    return ether(wei // step * step or wei)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
