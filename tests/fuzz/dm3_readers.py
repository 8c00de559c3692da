"""The protocol: JSON, envelopes, messages, profiles, layers, postmarks, rules, signatures."""

from __future__ import annotations

import json
from typing import Any

from gateway.dm3.canonical import Json, JsonObject, parse_json, parse_object, stringify
from gateway.dm3.data_uri import data_uri, parse_data_uri
from gateway.dm3.delivery_information import parse_delivery_information
from gateway.dm3.encryption import encrypt, parse_payload
from gateway.dm3.envelope import canonical_envelope, envelope_hashes, parse_envelope
from gateway.dm3.eth import checksum, parse_address, recover
from gateway.dm3.extension import ProfileExtension, ServiceProperties, read_extension
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.layer_sizes import plain_bytes
from gateway.dm3.layers import open_layer
from gateway.dm3.message import message_to_json, parse_message
from gateway.dm3.postmark import open_postmark
from gateway.dm3.profile import check_dm3_hash
from gateway.dm3.sender_rules import RecipientRules, SenderRules
from gateway.dm3.service_profile import parse_service_profile
from gateway.dm3.siwe import SiweMessage, parse_siwe
from gateway.dm3.spam_report import SpamReport
from gateway.dm3.user_profile import parse_signed_profile
from gateway.errors import GatewayError
from gateway.relay.frames import in_order
from gateway.relay.jsonrpc import parse_call
from tests.fuzz.target import Target, each, never_fails, text_of
from tests.unit.dm3.vectors import load

KEYS = ServiceKeys.from_seeds(b"\1" * 32, b"\2" * 32)
ADDRESS = "0x" + "ab" * 20
JSON_WORDS = ("{", "}", "[", "]", ",", ":", '""', "null", "true", "false", "NaN", "1e999", "-0", "\\ud800", "\\u0000")


def strict_json(data: bytes) -> None:
    """What is read is what the standard library reads, and has one canonical text."""
    value = parse_json(data, max_bytes=4096)
    assert value == json.loads(data)
    text = stringify(value)
    assert stringify(parse_json(text, max_bytes=2**16)) == text


def envelope(data: bytes) -> None:
    """The canonical text is the same envelope."""
    read = parse_envelope(data)
    text = canonical_envelope(read)
    again = parse_envelope(text, max_bytes=2**20)
    assert canonical_envelope(again) == text
    assert envelope_hashes(again) == envelope_hashes(read)


def message(data: bytes) -> None:
    """Written and read again it is the same."""
    read = parse_message(data)
    assert parse_message(stringify(message_to_json(read)), max_bytes=2**20) == read


def user_profile(data: bytes) -> None:
    """The same of a profile, and what clients read of its record."""
    read = parse_signed_profile(data)
    text = read.to_text()
    assert parse_signed_profile(text) == read
    assert parse_signed_profile(parse_data_uri(data_uri(text), 2**16)) == read


def service_profile(data: bytes) -> None:
    """And of a delivery service's."""
    read = parse_service_profile(data)
    assert parse_service_profile(read.to_text()) == read


def uri(data: bytes) -> None:
    """Never more than was allowed."""
    assert len(parse_data_uri(text_of(data), 200).encode()) <= 200


def hashed_url(data: bytes) -> None:
    """The hash in a profile's URL."""
    check_dm3_hash(text_of(data), {})


def information(data: bytes) -> None:
    """Delivery information inside an envelope."""
    read = parse_delivery_information(text_of(data))
    assert parse_delivery_information(stringify(read.to_json())) == read


def payload(data: bytes) -> None:
    """What is encrypted."""
    read = parse_payload(text_of(data))
    assert parse_payload(read.to_text()) == read


def postmark(data: bytes) -> None:
    """A postmark that somebody really sealed."""
    open_postmark(KEYS.encryption, encrypt(KEYS.encryption.public, data.decode("utf-8", "replace")))


def layer(data: bytes) -> None:
    """A layer that somebody really sealed, padded to its class where it is an object."""
    text = data.decode("utf-8", "replace")
    try:
        fields = parse_object(text, max_bytes=4096)
    except GatewayError:
        fields = {}
    if isinstance(padding := fields.get("padding"), str):
        missing = plain_bytes(1) - len(stringify({**fields, "padding": ""}).encode())
        text = stringify({**fields, "padding": padding[:1] * max(0, missing)})
    open_layer(encrypt(KEYS.encryption.public, text), KEYS)


def sign_in(data: bytes) -> None:
    """Written anew it says the same."""
    read = parse_siwe(text_of(data))
    assert isinstance(read, SiweMessage)
    assert parse_siwe(read.to_text()) == read


def values(data: bytes) -> None:
    """Objects in answers and requests; what somebody else's service says is read, or as if it said nothing."""
    value = parse_json(data, max_bytes=4096)
    never_fails(read_extension, value)
    readers: tuple[Any, ...] = (
        ServiceProperties.from_json,
        ProfileExtension.from_json,
        _rules,
        SenderRules.from_json,
        _report,
    )
    for read in readers:
        try:
            read(value)
        except GatewayError as error:
            assert error.status < 500


def _rules(value: Json) -> None:
    read = RecipientRules.from_json(value)
    assert RecipientRules.from_json(read.to_json()) == read


def _report(value: Json) -> None:
    if isinstance(value, dict):
        fields: JsonObject = value
        SpamReport.from_json(fields)


def address(data: bytes) -> None:
    """An address has one spelling inside."""
    read = parse_address(text_of(data))
    assert parse_address(checksum(read)) == read


def signature(data: bytes) -> None:
    """Whose signature it is, if it is one."""
    assert parse_address(recover(data[:32].ljust(32, b"\0"), data[32:]))


def call(data: bytes) -> None:
    """A call is small and has a method."""
    read = parse_call(data, max_bytes=4096)
    assert isinstance(read.method, str)


def frame(data: bytes) -> None:
    """What may come over a socket."""
    in_order(text_of(data), max_bytes=4096)


_ENVELOPE = load("envelope_and_postmark")
_ENVELOPES = [
    load(name)["expected"]["encryptedEnvelop"] for name in ("envelope_and_postmark", "envelope_npm171_variant")
]
_MESSAGES = [vector["expected"] for vector in load("messages")["vectors"]]
_CHECKS = [vector["inputs"]["signedUserProfile"] for vector in load("profile_checks")["vectors"]]
_URIS = load("profile_uris")
_SIWE = (
    f"gw.example wants you to sign in with your Ethereum account:\n{checksum(parse_address(ADDRESS))}\n\n"
    "I claim bob.gw.eth.\n\nURI: https://gw.example/claims\nVersion: 1\nChain ID: 1\nNonce: abcdefgh12\n"
    "Issued At: 2026-01-31T12:00:00.000Z"
)
_RULES = {
    "minNonce": 1,
    "minBalance": "5",
    "minTokenBalance": {"address": ADDRESS, "amount": "7"},
    "ownsToken": [{"standard": "ERC1155", "address": ADDRESS, "amount": "1", "tokenId": "3"}],
    "minStake": {"contract": ADDRESS, "amount": "9"},
    "messageRequests": True,
    "allow": ["bob.eth"],
    "block": ["eve.eth"],
    "maxWaitingPerSender": 3,
}
_LAYER: JsonObject = {
    "version": 1,
    "id": "0x" + "11" * 16,
    "method": "dm3_submitMessage",
    "next": "ds.far.eth",
    "padding": "0",
    "payload": "{}",
    "validUntil": 1_900_000_000_000,
    "maxDelay": 60,
}


def _texts(*found: object) -> tuple[bytes, ...]:
    return tuple(json.dumps(one).encode() for one in found)


_STRINGIFY = [vector["expected"]["output"] for vector in load("stringify")["vectors"]]

TARGETS = (
    Target("strict-json", strict_json, each(*(text for text in _STRINGIFY if isinstance(text, str))), JSON_WORDS),
    Target("json-rpc", call, _texts(_ENVELOPE["expected"]["jsonRpcRequest"]), JSON_WORDS, max_bytes=8192),
    Target("envelope", envelope, _texts(*_ENVELOPES), JSON_WORDS, max_bytes=8192),
    Target("message", message, _texts(*_MESSAGES, _ENVELOPE["inputs"]["message"]), JSON_WORDS),
    Target("user-profile", user_profile, _texts(*_CHECKS), JSON_WORDS),
    Target("service-profile", service_profile, _texts(_ENVELOPE["inputs"]["deliveryServiceProfile"]), JSON_WORDS),
    Target(
        "data-uri",
        uri,
        each(
            *(vector["inputs"]["uri"] for vector in _URIS["dataUriVectors"]),
            "data:;charset=utf8;base64,e30=",
            "data:,{}",
        ),
        ("data:", "application/json", ";base64,", "%7b", "%"),
    ),
    Target(
        "dm3-hash", hashed_url, each(*(v["inputs"]["uri"] for v in _URIS["dm3HashVectors"])), ("?dm3Hash=", "&", "#")
    ),
    Target(
        "delivery-information", information, _texts(_ENVELOPE["expected"]["decryptedDeliveryInformation"]), JSON_WORDS
    ),
    Target("sealed", payload, each(_ENVELOPE["expected"]["postmark"]["encryptedString"]), JSON_WORDS),
    Target("postmark", postmark, _texts(_ENVELOPE["expected"]["postmark"]["decrypted"]), JSON_WORDS),
    Target("layer", layer, each(stringify(_LAYER)), (*JSON_WORDS, "maxDelay", "validUntil")),
    Target(
        "sign-in", sign_in, each(_SIWE, f"{_SIWE}\nExpiration Time: 2026-01-31T13:00:00+01:00"), ("\nNot Before: ",)
    ),
    Target("rules-and-properties", values, _texts(_RULES, {"messageTypes": ["NEW"], "sizeLimit": 9}), JSON_WORDS),
    Target("eth-address", address, each(ADDRESS, checksum(parse_address(ADDRESS)))),
    Target("eth-signature", signature, (b"\1" * 96 + b"\x1b",), max_bytes=120),
    Target(
        "socket-frame", frame, each('40{"account":{"ensName":"a.eth"}}', '42["x",{}]', "3probe", "430[]"), JSON_WORDS
    ),
)
