"""``[operation]``: how a node is watched."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.sections import FilePath, Section, WebAddress


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError("must be an address or a network such as 10.0.0.0/8") from None
    return text


class OperationSettings(Section):
    """``[operation]``: who may read figures, and where traces go."""

    metrics_networks: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        ("127.0.0.0/8", "::1/128"),
        description="addresses and networks that may read /metrics, if no token is set; empty: nobody",
        examples=[["127.0.0.0/8", "10.1.2.3"]],
    )
    metrics_token_file: FilePath | None = Field(
        None, description="file with the bearer token that /metrics asks for, from whatever address it is read"
    )
    backup_folder: FilePath = Field(
        Path("backups"), description="folder where backups are kept; the age of the newest is in /metrics"
    )
    backup_recipient: Annotated[str, Field(pattern=r"^age1[a-z0-9]{50,100}$")] | None = Field(
        None,
        description="age recipient that backups are encrypted for, whose secret key is kept elsewhere",
        examples=["age1..."],
    )
    tombstone_file: FilePath = Field(
        Path("tombstones"),
        description="digests of who was deleted, so that a restored backup brings nobody back; keep a copy elsewhere",
    )
    otlp_endpoint: WebAddress | None = Field(
        None,
        description="OpenTelemetry collector that gets a span for each message (OTLP over HTTP); needs the extra otel",
        examples=["http://127.0.0.1:4318"],
    )
