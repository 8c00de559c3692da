"""``[[ens.registries]]``: registries of other systems, whose names are served below ours."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from gateway.sections import Address, Quorum, Section, WebAddress

NAME_PLACE: Final = "{name}"
MAX_URL: Final = 2048


def _url_with_a_name(url: str) -> str:
    parts = urlsplit(url)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.fragment
        or "@" in parts.netloc
        or len(url) > MAX_URL
        or not url.isascii()
        or NAME_PLACE in parts.netloc
        or url.count(NAME_PLACE) != 1
    ):
        raise ValueError("must be a web address with {name} once behind its host")
    return url


UrlWithName = Annotated[str, AfterValidator(_url_with_a_name)]


class RegistryTable(Section):
    """What every kind of registry has."""

    zone: str = Field(description="names below this are the registry's: a label, or a name under ens.parent")
    ttl: int = Field(60, ge=10, le=300, description="seconds for which records from there may be told")
    negative_ttl: int = Field(
        30, ge=10, le=300, description="seconds for which it may be told that a name is not there"
    )
    timeout: float = Field(3.0, gt=0, le=20, description="seconds that one look-up there may take")
    failures: int = Field(5, ge=1, le=1000, description="failures in a row after which it is left alone")
    rest_seconds: int = Field(30, ge=1, le=3600, description="seconds for which it is left alone then")
    concurrency: int = Field(32, ge=1, le=1000, description="look-ups under way there at a time")
    cache_bytes: int = Field(
        16_000_000, ge=100_000, le=10**9, description="memory for answers that are remembered, about"
    )


class HttpRegistry(RegistryTable):
    """JSON documents over HTTP, signed by the registry's own key."""

    type: Literal["http"] = Field(description="JSON documents over HTTP, signed by the registry")
    urls: tuple[UrlWithName, ...] = Field(
        min_length=1,
        max_length=4,
        description="where the document of {name} is; the first that has a valid one is believed",
        examples=[["https://registry.example/names/{name}"]],
    )
    signers: tuple[Address, ...] = Field(
        min_length=1, max_length=8, description="addresses whose signature on a document is believed"
    )
    target: str | None = Field(
        None, description="the zone's name in the registry; absent: names are asked for as they are here"
    )


class EvmRegistry(RegistryTable):
    """Contracts of ENS's form on another chain."""

    type: Literal["evm"] = Field(description="contracts on another chain")
    rpc_urls: tuple[WebAddress, ...] = Field(min_length=1, description="JSON-RPC servers of that chain")
    quorum: Quorum = Field(1, ge=1, description="servers that must give the same answer")
    chain_id: int = Field(ge=1, description="chain id that these servers must report")
    block: Literal["finalized", "safe", "latest"] = Field("finalized", description="block at which records are read")
    registry: Address | None = Field(None, description="its ENS registry, which names the resolver of each name")
    resolver: Address | None = Field(None, description="the one resolver contract of all names")
    target: str | None = Field(None, description="the zone's name there; absent: names are the same there as here")

    @model_validator(mode="after")
    def _one_contract(self) -> EvmRegistry:
        if (self.registry is None) == (self.resolver is None):
            raise ValueError("needs either registry or resolver")
        return self


class AliasRegistry(RegistryTable):
    """Another zone of the same ENS: names below ours have the records of those below it."""

    # Longer than one server of the main chain is waited for, so that the next one has its turn.
    timeout: float = Field(6.0, gt=0, le=20, description="seconds for a name's resolver, and again for its records")
    type: Literal["alias"] = Field(description="another zone of ENS")
    target: str = Field(description="the name below which the records are", examples=["example.eth"])


RegistrySettings: TypeAlias = Annotated[HttpRegistry | EvmRegistry | AliasRegistry, Field(discriminator="type")]
