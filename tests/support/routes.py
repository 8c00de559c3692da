"""Every HTTP operation of a running gateway, as its own description lists them: what is new is tested unasked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gateway.relay.service import RPC_PATHS
from tests.support.house import House

_NO_BODY = ("/admins/{address}", "/enable")
"""Ends of paths that say it all."""


class AnyValue(dict[str, str]):
    """A value for every parameter of a path: those that are given, else an address or a name."""

    def __missing__(self, key: str) -> str:
        return "0x" + "12" * 20 if key == "address" else "alice.eth"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    template: str
    """The path with its parameters in braces."""
    needs_session: bool
    """Whether it reads an Authorization header."""

    def path(self, values: Mapping[str, str]) -> str:
        """The path with its parameters filled in; KeyError when one has no value."""
        return re.sub(r"\{(\w+)\}", lambda found: quote(values[found[1]], safe=""), self.template)

    @property
    def takes_body(self) -> bool:
        """Whether clients send a body there."""
        return self.method in ("POST", "PUT", "PATCH") and not self.template.endswith(_NO_BODY)


async def operations(house: House) -> list[Operation]:
    """All of them: those of the OpenAPI description, JSON-RPC at each of its paths, and CCIP-read."""
    description = (await house.http.get(f"{house.url}/openapi.json")).json()
    paths: dict[str, dict[str, dict[str, Any]]] = description["paths"]
    found = []
    for template, methods in paths.items():
        for method, described in methods.items():
            headers = {each["name"] for each in described.get("parameters", ()) if each["in"] == "header"}
            found.append(Operation(method.upper(), template, "authorization" in headers))
    return found + [Operation("POST", path, needs_session=False) for path in (*RPC_PATHS, "/ccip")]
