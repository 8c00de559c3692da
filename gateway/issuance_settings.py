"""The tables of the configuration about names for people with a wallet: ``[subnames]`` and its parents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field

from gateway.sections import Address, Section

DEFAULT_RESERVED: Final = (
    *("abuse", "admin", "administrator", "api", "gateway", "help", "hostmaster", "info", "mail", "news"),
    *("noreply", "operator", "postmaster", "root", "security", "staff", "status", "support", "webmaster"),
)
"""Labels that speak for an operator."""


class IssuanceSettings(Section):
    """To whom the names of one parent are given."""

    policy: Literal["open", "allow", "token", "closed"] = Field(
        "closed", description="who may claim a name: everybody, addresses on a list, holders of tokens, nobody"
    )
    allow: tuple[Address, ...] = Field((), description='addresses for policy = "allow"', examples=[["0x" + "12" * 20]])
    gate: Mapping[str, Any] = Field(
        default_factory=dict,
        description='what to hold for policy = "token"; the keys of rules for senders, such as minBalance, ownsToken',
        examples=[{"minBalance": "1000000000000000000"}],
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
