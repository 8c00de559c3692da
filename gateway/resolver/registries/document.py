"""The document in which a web registry says what a name has, signed by the registry's own key.

::

    {
      "name": "alice.example.eth",
      "expires": 1900000000,
      "ttl": 300,
      "records": {
        "addr": "0x<40 hex digits>",
        "coins": {"0": "0x<bytes>", "2147492101": "0x<bytes>"},
        "texts": {"url": "https://example.org"},
        "contenthash": "0x<bytes>"
      },
      "signature": "0x<130 hex digits>"
    }

``name``: the name that was asked for. ``expires``: seconds since 1970, after which nobody believes the document.
``ttl``: seconds for which it may be told after it was fetched; optional. ``records``: null says that there is no such
name; each member is optional. Coins are raw address bytes by coin type in decimal digits (ENSIP-9). Other members are
signed like these and not read.

``signature``: personal_sign (ERC-191, version 0x45) of the UTF-8 text ``dm3-gateway registry document v1``, a line
feed, and the canonical JSON of the document without ``signature``: no blanks, keys in order of their UTF-16 code
units, characters outside ASCII as they are, integers in decimal digits. r || s || v with v 27 or 28 and low s.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from gateway.dm3.canonical import Json, JsonObject, parse_object, stringify
from gateway.dm3.encoding import from_hex
from gateway.dm3.eth import eip191_hash, recover
from gateway.errors import BadRegistryAnswer, BadSignature, InvalidInput, ParseError, TooLarge
from gateway.ids import EnsName, EthAddress
from gateway.resolver.records import NameRecords
from gateway.resolver.registries.registry import Reading

MAX_DOCUMENT: Final = 32 * 2**10
"""Bytes. Parsing and checking this much takes less than a millisecond."""
PREAMBLE: Final = "dm3-gateway registry document v1\n"
"""Keeps the signature apart from everything else that the key may sign."""
_MAX_ITEMS: Final = 512
_HEX: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_COIN: Final = re.compile(r"0|[1-9][0-9]{0,77}")


def signed_text(document: JsonObject) -> str:
    """The text over which the signature of a document is made."""
    return PREAMBLE + stringify({key: value for key, value in document.items() if key != "signature"})


def read_document(body: bytes, name: EnsName, now: int, signers: Collection[EthAddress]) -> Reading:
    """What a document says of ``name``; ``now`` in milliseconds since 1970.

    Raises BadRegistryAnswer when it is malformed, not signed by one of ``signers``, about another name or run out.
    """
    try:
        document = parse_object(body, max_bytes=MAX_DOCUMENT, max_depth=4, max_items=_MAX_ITEMS)
    except (ParseError, TooLarge) as error:
        raise BadRegistryAnswer(f"document: {error.detail}") from None
    if _signer(document) not in signers:
        raise BadRegistryAnswer("the document is not signed by the registry")
    if document.get("name") != name:
        raise BadRegistryAnswer("the document is about another name")
    expires = _seconds(document.get("expires"), "expires") * 1000
    if "ttl" in document:
        expires = min(expires, now + 1000 * _seconds(document["ttl"], "ttl"))
    if expires <= now:
        raise BadRegistryAnswer("the document has run out")
    if "records" not in document:
        raise BadRegistryAnswer("the document has no records, not even null")
    records = document["records"]
    return Reading(None if records is None else _records(_object(records, "records")), expires)


def _signer(document: JsonObject) -> EthAddress | None:
    signature = document.get("signature")
    if not isinstance(signature, str):
        return None
    try:
        return recover(eip191_hash(signed_text(document).encode()), from_hex(signature, "signature", length=65))
    except (BadSignature, InvalidInput):
        return None


def _records(found: JsonObject) -> NameRecords:
    address = _bytes(found["addr"], "addr") if "addr" in found else None
    if address is not None and len(address) != 20:
        raise BadRegistryAnswer("addr of the document has not 20 bytes")
    coins = _object(found.get("coins", {}), "coins")
    texts = _object(found.get("texts", {}), "texts")
    if not all(_COIN.fullmatch(coin) for coin in coins):
        raise BadRegistryAnswer("a coin type of the document is no number")
    return NameRecords(
        address=address,
        coins={int(coin): _bytes(value, "coins") for coin, value in coins.items()},
        texts={key: _text(value) for key, value in texts.items()},
        contenthash=_bytes(found["contenthash"], "contenthash") if "contenthash" in found else None,
    )


def _object(value: Json, what: str) -> JsonObject:
    if not isinstance(value, dict):
        raise BadRegistryAnswer(f"{what} of the document is no object")
    return value


def _seconds(value: Json, what: str) -> int:
    # The upper bound is that of the integers that every JSON parser reads alike (RFC 8259, section 6).
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**53:
        raise BadRegistryAnswer(f"{what} of the document is no number of seconds")
    return value


def _bytes(value: Json, what: str) -> bytes:
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise BadRegistryAnswer(f"{what} of the document is not hex")
    return bytes.fromhex(value[2:])


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise BadRegistryAnswer("a text of the document is none")
    return value
