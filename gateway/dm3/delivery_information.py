"""Delivery information: the part of an envelope that its delivery service may read (DM3-MTP)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.dm3.canonical import JsonObject, parse_object
from gateway.dm3.fields import name_text, optional_text
from gateway.errors import InvalidInput, ParseError, TooLarge

_MAX_BYTES = 64 * 2**10


@dataclass(frozen=True, slots=True)
class DeliveryInformation:
    """Names as the sender spelt them: normalise before use. ``instruction`` is echoed from the message answered."""

    to: str
    from_: str
    instruction: str | None = None

    def to_json(self) -> JsonObject:
        """The JSON object; the instruction only when there is one."""
        value: JsonObject = {"to": self.to, "from": self.from_}
        if self.instruction is not None:
            value["deliveryInstruction"] = self.instruction
        return value

    @classmethod
    def from_json(cls, value: JsonObject) -> DeliveryInformation:
        """Raises InvalidInput when a name is missing or no name, or the instruction no text."""
        return cls(name_text(value, "to"), name_text(value, "from"), optional_text(value, "deliveryInstruction"))


def parse_delivery_information(text: str) -> DeliveryInformation:
    """Read the decrypted text; raises InvalidInput."""
    try:
        return DeliveryInformation.from_json(parse_object(text, max_bytes=_MAX_BYTES, max_depth=4, max_items=64))
    except (ParseError, TooLarge) as error:
        raise InvalidInput(f"delivery information: {error.detail}") from None
