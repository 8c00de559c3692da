"""The table ``[adapters.xmpp]`` of the configuration."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from gateway.sdk import FilePath, Section

_DOMAIN: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def _domain(text: str) -> str:
    folded = text.strip().rstrip(".").lower()
    if len(folded) > 253 or not _DOMAIN.fullmatch(folded):
        raise ValueError("must be a domain in ASCII such as dm3.example.org")
    return folded


Domain = Annotated[str, AfterValidator(_domain)]


class XmppSettings(Section):
    """Every key of ``[adapters.xmpp]``; README.md documents each of them."""

    component: Domain = Field(
        description="domain of the component: alice.eth is alice.eth@component", examples=["dm3.example.org"]
    )
    host: str = Field("127.0.0.1", description="where the server listens for components")
    port: int = Field(5347, ge=1, le=65535, description="the server's port for components")
    secret_file: FilePath = Field(description="file with the secret that the server knows for the component")
    domains: tuple[Domain, ...] = Field(
        (), description="domains whose people may use the gateway; absent: the one that the component is under"
    )
    messages_per_minute: int = Field(
        120,
        ge=1,
        description="messages of one person, and as many other stanzas of each kind; more are refused for a moment",
    )
    embed_bytes: int = Field(
        5_000_000, ge=0, le=14_000_000, description="files of one message, in bytes, that travel inside it"
    )
    max_file_bytes: int = Field(20_000_000, ge=0, description="bytes of a file that is carried over")

    @property
    def served(self) -> tuple[str, ...]:
        """Domains whose people may use the gateway."""
        return self.domains or (self.component.partition(".")[2] or self.component,)
