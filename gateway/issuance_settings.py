"""The tables of the configuration about names for people with a wallet: ``[subnames]`` and its parents."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from gateway.sections import Address, Section

DEFAULT_RESERVED: Final = (
    *("abuse", "admin", "administrator", "api", "gateway", "help", "hostmaster", "info", "mail", "news"),
    *("noreply", "operator", "postmaster", "root", "security", "staff", "status", "support", "webmaster"),
)
"""Labels that speak for an operator."""


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Amount = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^(?:0|[1-9][0-9]{0,77})$")]
"""A whole number, also as text: numbers of TOML end at 2^63."""


class TokenAmount(Section):
    """So much of an ERC-20 token."""

    address: Address = Field(description="of the token", examples=["0x" + "12" * 20])
    amount: Amount = Field(description="in the token's smallest unit", examples=["1000000"])


class OwnedToken(Section):
    """A token of a collection."""

    standard: Literal["ERC721", "ERC1155"] = Field(description="how its contract answers")
    address: Address = Field(description="of the collection", examples=["0x" + "12" * 20])
    token_id: Amount | None = Field(None, description="that very token; absent: any of an ERC-721 collection")
    amount: int = Field(1, ge=1, description="how many of them")


class GateSettings(Section):
    """``[subnames.gate]``: what has to be held, all of it, for ``policy = "token"``."""

    min_nonce: int = Field(0, ge=0, description="transactions that the address has sent")
    min_balance: Amount = Field("0", description="wei", examples=["1000000000000000000"])
    min_token_balance: TokenAmount | None = Field(None, description="so much of an ERC-20 token")
    owns_token: tuple[OwnedToken, ...] = Field((), max_length=8, description="tokens of collections")

    def to_json(self) -> dict[str, Any]:
        """In the form of rules for senders."""
        found: dict[str, Any] = {"minNonce": self.min_nonce, "minBalance": self.min_balance}
        if self.min_token_balance is not None:
            found["minTokenBalance"] = self.min_token_balance.model_dump()
        if self.owns_token:
            found["ownsToken"] = [_token(each) for each in self.owns_token]
        return found


def _token(token: OwnedToken) -> dict[str, Any]:
    found: dict[str, Any] = {"standard": token.standard, "address": token.address}
    if token.standard == "ERC1155" or token.amount > 1:
        found["amount"] = str(token.amount)
    return found if token.token_id is None else found | {"tokenId": token.token_id}


class IssuanceSettings(Section):
    """To whom the names of one parent are given."""

    policy: Literal["open", "allow", "token", "closed"] = Field(
        "closed", description="who may claim a name: everybody, addresses on a list, holders of tokens, nobody"
    )
    allow: tuple[Address, ...] = Field((), description='addresses for policy = "allow"', examples=[["0x" + "12" * 20]])
    gate: GateSettings = Field(
        default_factory=dict, validate_default=True, description='what to hold for policy = "token"'
    )
    min_length: int = Field(3, ge=1, le=63, description="characters of the shortest label")
    reserved: tuple[str, ...] = Field(
        DEFAULT_RESERVED, description="labels that are kept back, together with what looks like them"
    )
    blocked: tuple[str, ...] = Field((), description="words that no label may hold", examples=[["paypal"]])
    beyond_nameprep: bool = Field(False, description="give out names that older clients read as another name")
    per_owner: int = Field(5, ge=0, le=100_000, description="names that one address may claim; 0 is no limit")
    term_days: int = Field(0, ge=0, le=36_500, description="days for which a claim holds; 0 is for ever")
    grace_days: int = Field(30, ge=0, le=3_650, description="days after its term in which a name can be renewed")
    rest_days: int = Field(30, ge=0, le=3_650, description="days for which a name that was given up is nobody's")


class MoreParent(IssuanceSettings):
    """``[[subnames.parents]]``: a further parent under which names are issued."""

    name: str = Field(description="ENS name that is set to our resolver contract", examples=["other.eth"])


class SubnamesSettings(IssuanceSettings):
    """``[subnames]``: names for people with a wallet, under ``ens.parent`` and further parents."""

    parents: tuple[MoreParent, ...] = Field((), description="further parents, each with rules of its own")
    looks_per_minute: int = Field(
        600, ge=0, description="questions of one network address about names, on average; 0 sets no limit"
    )
    orders_per_minute: int = Field(
        60, ge=0, description="claims and orders of one network address, on average; 0 sets no limit"
    )
