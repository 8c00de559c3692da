"""Privacy routing: an envelope in layers, one for each relay of a chain, each sealed to that relay's key.

An extension of DM3-MTP, whose first version has no forwarding; gateway/relay/README.md is its specification. A layer
tells its relay the next delivery service and nothing of what comes after or was before. There is no count of hops in
it: a count says where in the chain a relay stands, and a relay could change it. What bounds a chain instead is size
(``gateway.dm3.layer_sizes``): each relay checks that the layer inside is exactly one class smaller.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gateway.dm3.canonical import JsonObject, parse_object, stringify
from gateway.dm3.encoding import from_hex, to_hex
from gateway.dm3.encryption import MAX_SEALED_BYTES, decrypt_by_any, encrypt, parse_payload
from gateway.dm3.envelope import canonical_envelope, parse_envelope
from gateway.dm3.fields import name_text, required_text, timestamp_ms
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.layer_sizes import SIZE_CLASSES, class_for, class_of, plain_bytes
from gateway.errors import DecryptionFailed, InvalidInput, ParseError, TooLarge

VERSION: Final = 1
MAX_HOPS: Final = 5
"""Relays of one chain."""
ID_BYTES: Final = 16
MAX_VALIDITY_MS: Final = 7 * 24 * 3600 * 1000
"""A relay remembers the id of a layer until its validity is over, and so takes none that is valid for longer."""
DEFAULT_VALIDITY_MS: Final = 6 * 24 * 3600 * 1000
"""A day less than the most: clocks differ, and a layer may be sent some hours after it was made."""
MAX_DELAY_MS: Final = 24 * 3600 * 1000
SPARE_CLASSES_UP_TO: Final = 5
"""Envelopes of these classes (68 KB sealed) are filled up at random; larger ones differ enough, and it costs more."""
_JITTER: Final = 8
"""Each layer of a chain is valid for up to an eighth less, so that two relays do not recognise a chain by its end."""
_FIELDS: Final = frozenset({"id", "method", "next", "padding", "payload", "validUntil", "version"})


class LayerMethod(StrEnum):
    """What a relay calls at the next delivery service with the payload."""

    FORWARD = "dm3_forward"
    """The payload is a layer."""
    SUBMIT = "dm3_submitMessage"
    """The payload is an envelope: this relay is the last of the chain."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One relay of a chain: its ENS name and its 32-byte public encryption key."""

    name: str
    encryption_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one relay learns."""

    id: bytes
    """16 random bytes, by which the relay recognises a repeat."""
    valid_until: int
    """Milliseconds since the epoch."""
    next: str
    """ENS name of the next delivery service as the sender spelt it."""
    method: LayerMethod
    payload: str = field(repr=False)
    """Text of the parameter of `method`."""
    max_delay_ms: int | None = None
    """The relay waits for a random time up to this, or less when it has a smaller bound of its own."""

    def to_json(self) -> JsonObject:
        """The object that is sealed, without its padding."""
        value: JsonObject = {
            "id": to_hex(self.id),
            "method": self.method.value,
            "next": self.next,
            "padding": "",
            "payload": self.payload,
            "validUntil": self.valid_until,
            "version": VERSION,
        }
        if self.max_delay_ms is not None:
            value["maxDelay"] = self.max_delay_ms
        return value

    def require_valid(self, now: int) -> None:
        """Raise InvalidInput when the layer's time (ms) is over, or more than seven days ahead."""
        if self.valid_until <= now:
            raise InvalidInput("the time of this layer is over")
        if self.valid_until > now + MAX_VALIDITY_MS:
            raise InvalidInput("this layer is valid for more than seven days")


def wrap(
    envelope: str,
    hops: Sequence[Hop],
    *,
    destination: str,
    now: int,
    validity_ms: int = DEFAULT_VALIDITY_MS,
    max_delay_ms: int | None = None,
) -> str:
    """Wrap a sealed envelope (canonical JSON text) for one to five relays; the text for the first one's dm3_forward.

    The last relay submits the envelope to the delivery service `destination`, which may be that relay itself. Each
    call gives other bytes: keep the text for a retry. Raises InvalidInput for what no relay would take, TooLarge.
    """
    if not 1 <= len(hops) <= MAX_HOPS:
        raise InvalidInput(f"a chain has 1 to {MAX_HOPS} relays")
    if not 0 < validity_ms <= MAX_VALIDITY_MS or not 0 <= (max_delay_ms or 0) <= MAX_DELAY_MS:
        raise InvalidInput("a validity or delay outside of its bounds")
    _check_envelope(envelope)
    text, method, following, size_class = envelope, LayerMethod.SUBMIT, destination, -1
    for hop in reversed(hops):
        layer = Layer(
            id=secrets.token_bytes(ID_BYTES),
            valid_until=now + validity_ms - secrets.randbelow(validity_ms // _JITTER + 1),
            next=following,
            method=method,
            payload=text,
            max_delay_ms=max_delay_ms,
        )
        size_class = _innermost_class(layer, len(hops)) if method is LayerMethod.SUBMIT else size_class + 1
        text = seal_layer(layer, hop.encryption_key, size_class)
        method, following = LayerMethod.FORWARD, hop.name
    return text


def seal_layer(layer: Layer, encryption_key: bytes, size_class: int) -> str:
    """Seal one layer, filled up to its size class; raises InvalidInput when it does not fit or the key is none."""
    value = layer.to_json()
    missing = plain_bytes(size_class) - len(stringify(value).encode())
    if missing < 0:
        raise InvalidInput("the layer has more bytes than its size class")
    return encrypt(encryption_key, stringify({**value, "padding": "0" * missing}))


def open_layer(text: str, service_keys: ServiceKeys, *, max_bytes: int = MAX_SEALED_BYTES) -> Layer:
    """Open what `wrap` sealed to this service; its time is for the caller to check (`Layer.require_valid`).

    Raises TooLarge, DecryptionFailed for another's layer or any changed bit, InvalidInput for what a sender made
    otherwise than specified. No error repeats the layer's content.
    """
    if len(text) > max_bytes:
        raise TooLarge(f"a layer of more than {max_bytes} bytes")
    sealed = parse_payload(text)
    if sealed.to_text() != text:
        # Other spellings of the same bytes would pass for other layers on their way.
        raise DecryptionFailed("the layer is not in its canonical spelling")
    size_class = class_of(len(sealed.ciphertext))
    return _parse(decrypt_by_any(service_keys.opening, sealed), size_class)


def _innermost_class(layer: Layer, hops: int) -> int:
    """The class that holds the envelope, or at random one of those above, up to what a chain of five would come to."""
    needed = class_for(len(stringify(layer.to_json()).encode()))
    if needed + hops > len(SIZE_CLASSES):
        raise TooLarge(f"the envelope is too large for {hops} layers")
    return needed + (secrets.randbelow(MAX_HOPS - hops + 1) if needed <= SPARE_CLASSES_UP_TO else 0)


def _parse(plain: str, size_class: int) -> Layer:
    try:
        fields = parse_object(plain, max_bytes=MAX_SEALED_BYTES, max_depth=1, max_items=16)
    except (ParseError, TooLarge) as error:
        raise InvalidInput(f"layer: {error.detail}") from None
    if fields.get("version") != VERSION or isinstance(fields["version"], bool):
        raise InvalidInput("a layer of a version that is not known here")
    if fields.keys() - {"maxDelay"} != _FIELDS or stringify(fields) != plain:
        raise InvalidInput("a layer with other fields or in another spelling than specified")
    if len(plain.encode()) != plain_bytes(size_class) or required_text(fields, "padding").strip("0"):
        raise InvalidInput("a layer with other padding than specified")
    layer = Layer(
        id=from_hex(fields["id"], "id", length=ID_BYTES),
        valid_until=timestamp_ms(fields, "validUntil"),
        next=name_text(fields, "next"),
        method=_method(fields),
        payload=required_text(fields, "payload"),
        max_delay_ms=_max_delay(fields),
    )
    _check_payload(layer, size_class)
    return layer


def _method(fields: JsonObject) -> LayerMethod:
    try:
        return LayerMethod(required_text(fields, "method"))
    except ValueError:
        raise InvalidInput("a layer for a method that is not forwarded") from None


def _max_delay(fields: JsonObject) -> int | None:
    if "maxDelay" not in fields:
        return None
    delay = timestamp_ms(fields, "maxDelay")
    if delay > MAX_DELAY_MS:
        raise InvalidInput("maxDelay is longer than a day")
    return delay


def _check_payload(layer: Layer, size_class: int) -> None:
    """What the next service would refuse is refused here, while whoever made it may still be listening."""
    try:
        if layer.method is LayerMethod.SUBMIT:
            _check_envelope(layer.payload)
            return
        inner = parse_payload(layer.payload)
        if inner.to_text() != layer.payload or class_of(len(inner.ciphertext)) != size_class - 1:
            raise InvalidInput("the layer inside is not one class smaller")
    except DecryptionFailed:
        raise InvalidInput("the payload is not sealed") from None


def _check_envelope(text: str) -> None:
    """An envelope in its canonical spelling whose names are sealed: a relay must not be told them by mistake."""
    try:
        envelope = parse_envelope(text)
        information = envelope.metadata.delivery_information
        if canonical_envelope(envelope) != text or not isinstance(information, str):
            raise InvalidInput("the payload is no sealed envelope in canonical spelling")
        parse_payload(information)
    except (ParseError, TooLarge) as error:
        raise InvalidInput(f"envelope: {error.detail}") from None
    except DecryptionFailed:
        raise InvalidInput("the delivery information is not encrypted") from None
