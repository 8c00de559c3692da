"""Documents of a web registry, signed as its operator would."""

from __future__ import annotations

from typing import Any

from gateway.dm3.canonical import JsonObject, stringify
from gateway.dm3.eth import sign_text
from gateway.resolver.registries.document import signed_text
from gateway.resolver.signer import KeySigner

REGISTRY = KeySigner.of(b"\x09" * 32)
STRANGER = KeySigner.of(b"\x0a" * 32)
NOW = 1_800_000_000_000
RECORDS: JsonObject = {
    "addr": "0x" + "12" * 20,
    "coins": {"0": "0x0014" + "ab" * 20},
    "texts": {"url": "https://example.org", "ключ": "значение 💩"},
    "contenthash": "0xe301",
}


def document(name: str = "alice.gno.eth", key: bytes = REGISTRY.key, **changes: Any) -> JsonObject:
    """A document of a name with a signature; a change to ``...`` leaves the member out."""
    members: dict[str, Any] = {"name": name, "expires": NOW // 1000 + 3600, "records": RECORDS, **changes}
    unsigned: JsonObject = {key: value for key, value in members.items() if value is not ...}
    return unsigned | {"signature": sign_text(key, signed_text(unsigned))}


def body(name: str = "alice.gno.eth", key: bytes = REGISTRY.key, **changes: Any) -> bytes:
    """The same as it comes from the server."""
    return stringify(document(name, key, **changes)).encode()
