"""Layers for tests: chains of relays with keys, envelopes for them, and layers made otherwise than specified."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.dm3.canonical import Json, stringify
from gateway.dm3.encryption import encrypt
from gateway.dm3.envelope import canonical_envelope, seal
from gateway.dm3.keys import ServiceKeys, encryption_pair, signing_pair
from gateway.dm3.layer_sizes import plain_bytes
from gateway.dm3.layers import Hop, Layer, LayerMethod
from gateway.dm3.message import Message, MessageType, sign_message
from gateway.ids import EnsName

SENDER, RECIPIENT = EnsName("secret-sender.eth"), EnsName("secret-recipient.eth")


@lru_cache
def envelope_text(characters: int = 200) -> str:
    """A sealed envelope around a text of so many characters, for people and a service that exist nowhere else."""
    signing = signing_pair()
    message = Message(
        to=RECIPIENT, from_=SENDER, type=MessageType.NEW, timestamp=1_727_000_000_123, text="x" * characters
    )
    return canonical_envelope(
        seal(sign_message(message, signing), encryption_pair().public, encryption_pair().public, signing)
    )


@dataclass(frozen=True)
class Relay:
    """A relay as a sender knows it, with the keys that it keeps to itself."""

    hop: Hop
    keys: ServiceKeys


def relay(name: str) -> Relay:
    """A relay with fresh keys."""
    keys = ServiceKeys.generate()
    return Relay(Hop(name, keys.encryption.public), keys)


def fields(layer: Layer, **changed: Any) -> dict[str, Any]:
    """The fields of a layer, some of them wrong; None takes one away."""
    merged = {**layer.to_json(), **changed}
    return {key: value for key, value in merged.items() if value is not None}


def sealed_fields(value: dict[str, Any], key: bytes, size_class: int, filler: str = "0") -> str:
    """Seal fields as they are, with padding to the size class where there is any and `padding` is empty."""
    missing = plain_bytes(size_class) - len(stringify(value).encode())
    padded: Json = {**value, "padding": filler * missing} if value.get("padding") == "" else value
    return encrypt(key, stringify(padded))


def plain_layer(payload: str, method: LayerMethod = LayerMethod.SUBMIT, **changed: Any) -> Layer:
    """A right layer, of which a test changes what it is about."""
    values: dict[str, Any] = {
        "id": bytes(range(16)),
        "valid_until": 1_800_000_000_000,
        "next": "ds.next.eth",
        "method": method,
        "payload": payload,
    }
    return Layer(**{**values, **changed})
