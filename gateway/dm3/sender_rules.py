"""What a recipient asks of those who write to them: the rules that senders can read, and the lists that they cannot.

DM3-MTP leaves spam protection to extensions of the profile extension. The first three fields are those of the
reference's ``spamFilterRules``; the rest is ours. Rules are joined by "and"; amounts are integers of the smallest
unit and travel as decimal texts, because JSON numbers of other programs end at 2^53.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gateway.dm3.canonical import Json, JsonObject
from gateway.dm3.eth import parse_address
from gateway.dm3.fields import name_text, required_object, required_text
from gateway.errors import InvalidInput
from gateway.ids import EnsName, EthAddress

MAX_OWNERSHIPS: Final = 8
MAX_LISTED: Final = 1_000
"""Names of one list."""
MAX_COUNT: Final = 2**53
"""The greatest integer that JavaScript holds exactly."""
_AMOUNT: Final = re.compile(r"(?:0|[1-9][0-9]{0,77})\Z")
_MAX_AMOUNT: Final = 2**256 - 1
_PUBLIC: Final = frozenset({"minNonce", "minBalance", "minTokenBalance", "ownsToken", "minStake", "messageRequests"})
_PRIVATE: Final = frozenset({"allow", "block", "maxWaitingPerSender"})


class TokenStandard(StrEnum):
    """How a contract answers who owns what."""

    ERC721 = "ERC721"
    ERC1155 = "ERC1155"


@dataclass(frozen=True, slots=True)
class TokenBalance:
    """At least ``amount`` of an ERC-20 token (in its smallest unit)."""

    address: EthAddress
    amount: int


@dataclass(frozen=True, slots=True)
class TokenOwnership:
    """At least ``amount`` tokens of an NFT contract: any of an ERC-721 collection, or one id of an ERC-1155 one.

    An ERC-721 rule with an id asks for the owner of that very token.
    """

    standard: TokenStandard
    address: EthAddress
    token_id: int | None = None
    amount: int = 1


@dataclass(frozen=True, slots=True)
class Stake:
    """A deposit of at least ``amount`` wei in the stake contract that the relay named."""

    contract: EthAddress
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderRules:
    """What is asked of a sender on chain, and whether strangers wait to be let in."""

    min_nonce: int = 0
    """Transactions that the sender's address must have sent: proof of activity."""
    min_balance: int = 0
    """Wei."""
    min_token_balance: TokenBalance | None = None
    owns_token: tuple[TokenOwnership, ...] = ()
    min_stake: Stake | None = None
    message_requests: bool = False
    """True: mail of somebody who is not on the allow list waits among the message requests."""

    @property
    def asks_the_chain(self) -> bool:
        """Whether anything here needs a look at the chain."""
        return bool(self.min_nonce or self.min_balance or self.min_token_balance or self.owns_token or self.min_stake)

    def to_json(self) -> JsonObject:
        """The published form: only what is set."""
        value: JsonObject = {}
        if self.min_nonce:
            value["minNonce"] = self.min_nonce
        if self.min_balance:
            value["minBalance"] = str(self.min_balance)
        if self.min_token_balance is not None:
            token = self.min_token_balance
            value["minTokenBalance"] = {"address": token.address, "amount": str(token.amount)}
        if self.owns_token:
            value["ownsToken"] = [_ownership_json(each) for each in self.owns_token]
        if self.min_stake is not None:
            value["minStake"] = {"contract": self.min_stake.contract, "amount": str(self.min_stake.amount)}
        if self.message_requests:
            value["messageRequests"] = True
        return value

    @classmethod
    def from_json(cls, value: Json) -> SenderRules:
        """Read the published form of any relay; fields that are not known here are left out. Raises InvalidInput."""
        fields = required_object(value, "spamFilterRules")
        balance = fields.get("minBalance")
        token = fields.get("minTokenBalance")
        stake = fields.get("minStake")
        return cls(
            min_nonce=_count(fields.get("minNonce"), "minNonce"),
            min_balance=0 if balance is None else _amount(balance, "minBalance"),
            min_token_balance=None if token is None else _token_balance(token),
            owns_token=_ownerships(fields.get("ownsToken")),
            min_stake=None if stake is None else _stake(stake),
            message_requests=_flag(fields.get("messageRequests"), "messageRequests"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientRules:
    """All that a recipient has decided: the public rules, and lists that nobody else sees."""

    public: SenderRules = field(default_factory=SenderRules)
    allow: frozenset[EnsName] = frozenset()
    """Senders whom no other rule stops."""
    block: frozenset[EnsName] = frozenset()
    """Senders who are always refused."""
    max_waiting_per_sender: int = 0
    """Envelopes of one verified sender that may wait at a time; 0 leaves it to the relay."""

    def to_json(self) -> JsonObject:
        """The form that its owner reads and writes, and that is stored."""
        value = self.public.to_json()
        if self.allow:
            value["allow"] = _listed(self.allow)
        if self.block:
            value["block"] = _listed(self.block)
        if self.max_waiting_per_sender:
            value["maxWaitingPerSender"] = self.max_waiting_per_sender
        return value

    @classmethod
    def from_json(cls, value: Json) -> RecipientRules:
        """Read what its owner wrote; raises InvalidInput, also for a field that does not exist.

        Names are taken as they stand: normalise them before.
        """
        fields = required_object(value, "rules")
        if unknown := set(fields) - _PUBLIC - _PRIVATE:
            raise InvalidInput(f"there is no rule {min(unknown)[:64]!r}")
        waiting = _count(fields.get("maxWaitingPerSender"), "maxWaitingPerSender")
        allow, block = _names(fields.get("allow"), "allow"), _names(fields.get("block"), "block")
        if both := allow & block:
            raise InvalidInput(f"{min(both)} is on both lists")
        return cls(public=SenderRules.from_json(fields), allow=allow, block=block, max_waiting_per_sender=waiting)


def _listed(names: frozenset[EnsName]) -> list[Json]:
    return list[Json](sorted(names))


def _ownership_json(rule: TokenOwnership) -> JsonObject:
    value: JsonObject = {"standard": rule.standard.value, "address": rule.address, "amount": str(rule.amount)}
    if rule.token_id is not None:
        value["tokenId"] = str(rule.token_id)
    return value


def _count(value: Json, what: str) -> int:
    if value is None:
        return 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise InvalidInput(f"{what} is not a count")
    return value


def _amount(value: Json, what: str) -> int:
    """A decimal text, or a whole number that JSON holds exactly."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
        return value
    if isinstance(value, str) and _AMOUNT.match(value) and int(value) <= _MAX_AMOUNT:
        return int(value)
    raise InvalidInput(f"{what} is not an amount: a decimal text of the smallest unit")


def _address(fields: JsonObject, key: str) -> EthAddress:
    return parse_address(required_text(fields, key, max_length=42))


def _token_balance(value: Json) -> TokenBalance | None:
    """None for nothing of a token, which everybody has."""
    fields = required_object(value, "minTokenBalance")
    rule = TokenBalance(_address(fields, "address"), _amount(fields.get("amount"), "minTokenBalance.amount"))
    return rule if rule.amount else None


def _stake(value: Json) -> Stake | None:
    fields = required_object(value, "minStake")
    rule = Stake(_address(fields, "contract"), _amount(fields.get("amount"), "minStake.amount"))
    return rule if rule.amount else None


def _ownerships(value: Json) -> tuple[TokenOwnership, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_OWNERSHIPS:
        raise InvalidInput(f"ownsToken is not a list of at most {MAX_OWNERSHIPS}")
    return tuple(_ownership(required_object(each, "ownsToken")) for each in value)


def _ownership(fields: JsonObject) -> TokenOwnership:
    try:
        standard = TokenStandard(required_text(fields, "standard", max_length=16))
    except ValueError:
        raise InvalidInput("ownsToken.standard is neither ERC721 nor ERC1155") from None
    number = fields.get("tokenId")
    token_id = None if number is None else _amount(number, "ownsToken.tokenId")
    if standard is TokenStandard.ERC1155 and token_id is None:
        raise InvalidInput("an ERC1155 rule needs a tokenId")
    stated = fields.get("amount")
    amount = 1 if stated is None else _amount(stated, "ownsToken.amount")
    if amount < 1:
        raise InvalidInput("ownsToken.amount is at least 1")
    if standard is TokenStandard.ERC721 and token_id is not None and amount > 1:
        raise InvalidInput("nobody can meet an ERC721 rule that wants one token more than once")
    return TokenOwnership(standard, _address(fields, "address"), token_id, amount)


def _flag(value: Json, what: str) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise InvalidInput(f"{what} is neither true nor false")
    return value


def _names(value: Json, what: str) -> frozenset[EnsName]:
    if value is None:
        return frozenset()
    if not isinstance(value, list) or len(value) > MAX_LISTED:
        raise InvalidInput(f"{what} is not a list of at most {MAX_LISTED} names")
    return frozenset(EnsName(name_text({what: each}, what)) for each in value)
