"""Readers of the relay's input on the worst texts that a stranger can send: refused, or read, in no time.

As for single expressions: the thread's own time, the best of three.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from gateway.dm3.canonical import parse_json
from gateway.dm3.data_uri import parse_data_uri
from gateway.dm3.delivery_information import parse_delivery_information
from gateway.dm3.encoding import from_base64, from_hex, hash_text
from gateway.dm3.encryption import parse_payload
from gateway.dm3.envelope import parse_envelope
from gateway.dm3.eth import parse_address
from gateway.dm3.profile import check_dm3_hash, parse_signed_profile
from gateway.dm3.siwe import parse_siwe
from gateway.dm3.user_profile import MAX_PROFILE_BYTES
from gateway.ens import names
from gateway.ens.canonical import canonical_id
from gateway.ens.cid import parse_ipfs_uri
from gateway.ens.escapes import parse_bridged_name
from gateway.ens.labels import unescape_host_label, unescape_label
from gateway.ens.localparts import name_from_matrix_localpart, name_from_punycode_localpart
from gateway.ens.names import dns_decode, nameprep_safe, normalise, require_normal
from gateway.ens.targets import parse_target
from gateway.errors import InvalidName
from gateway.ids import EnsName, Network
from gateway.relay.frames import in_order
from gateway.relay.jsonrpc import parse_call
from tests.support.worst_strings import BOUND, LENGTH, seconds

PARENT = EnsName("gw.eth")
UNITS = (
    *"a0-_.@:;,=&%#?/\\|~+*()[]{}<>\"'` \t\n\0é",
    "\u0301",
    "\U0001f469\u200d",
    "\ud800",
    "0x",
    "ab",
    "a.",
    "a@",
    "-2d",
    "0-x2d",
    "%41",
    "%",
    "\\u00",
    '\\"',
    '"a":',
    '{"a":',
    "[1,",
    "1e9",
    "xn--",
    "QUFB",
    ";a=b",
    "&a=b",
    "://",
    "..",
    "\r\n",
)
HEADS = (
    "",
    "data:",
    "data:application/json,",
    "https://",
    "https://a/?dm3Hash=",
    "ipfs://b",
    "0x",
    '{"a":"',
    "42[",
    "4",
)
READERS: dict[str, Callable[[str], Any]] = {
    "normalise": normalise,
    "require_normal": require_normal,
    "nameprep_safe": lambda text: nameprep_safe(EnsName(text[:255])),
    "dns_decode": lambda text: dns_decode(text.encode("utf-8", "surrogatepass")),
    "parse_address": parse_address,
    "canonical_matrix": partial(canonical_id, Network("matrix")),
    "canonical_xmpp": partial(canonical_id, Network("xmpp")),
    "canonical_email": partial(canonical_id, Network("email")),
    "parse_bridged_name": lambda text: parse_bridged_name(EnsName(f"{text[:240]}.email.{PARENT}"), PARENT),
    "unescape_label": lambda text: unescape_label(text[:255]),
    "unescape_host_label": lambda text: unescape_host_label(text[:255]),
    "name_from_matrix_localpart": name_from_matrix_localpart,
    "name_from_punycode_localpart": name_from_punycode_localpart,
    "parse_target": partial(parse_target, allow_private=False),
    "parse_ipfs_uri": parse_ipfs_uri,
    "parse_data_uri": partial(parse_data_uri, max_bytes=MAX_PROFILE_BYTES),
    "check_dm3_hash": lambda text: check_dm3_hash(text, {}),
    "parse_siwe": parse_siwe,
    "from_base64": lambda text: from_base64(text, "text"),
    "from_hex": lambda text: from_hex(text, "text", length=len(text) // 2),
    "hash_text": lambda text: hash_text(text, "text"),
    "parse_json": partial(parse_json, max_bytes=2 * LENGTH),
    "parse_call": lambda text: parse_call(text.encode("utf-8", "surrogatepass"), max_bytes=4 * LENGTH),
    "parse_envelope": partial(parse_envelope, max_bytes=2 * LENGTH),
    "parse_payload": partial(parse_payload, max_bytes=2 * LENGTH),
    "parse_delivery_information": parse_delivery_information,
    "parse_signed_profile": parse_signed_profile,
    "in_order": partial(in_order, max_bytes=2 * LENGTH),
}
"""What is bounded before it reaches a reader is bounded here: a label is part of a name, and a name has 255 bytes."""


def worst_texts() -> list[str]:
    """Each unit over and over, by itself and behind what readers look for first."""
    return [head + unit * (LENGTH // len(unit)) for unit in UNITS for head in HEADS]


@pytest.mark.attack(30)
@pytest.mark.attack(31)
@pytest.mark.parametrize("reader", READERS)
def test_no_reader_can_be_kept_busy(reader: str) -> None:
    for text in worst_texts():
        assert seconds(partial(READERS[reader], text)) < BOUND, text[:60]


NAMES = {
    "combining marks": "a" + "\u0301" * 127,
    "marks of other scripts": "क" + "\u093c" * 84,
    "families": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466" * 10,
    "half families": "\U0001f468\u200d" * 36,
    "flags": "\U0001f1e9\U0001f1ea" * 31,
    "keycaps": "1\ufe0f\u20e3" * 36,
    "a ligature of eighteen": "\ufdfa" * 85,
    "full width": "\uff41" * 85,
    "sharp s": "ß" * 127,
    "jamo": "\u1100\u1161\u11a8" * 28,
    "two scripts": "a\u0430" * 85,
    "empty labels": "." * 255,
    "many labels": "ß." * 84 + "eth",
    "punycode": "xn--" + "a" * 251,
    "nothing that is seen": "\u200b" * 85,
    "unassigned": "\U000e0fff" * 63,
}


@pytest.mark.attack(31)
@pytest.mark.parametrize("name", NAMES)
def test_the_longest_names_are_normalised_in_no_time(name: str) -> None:
    """255 bytes are all that is looked at, whatever is in them; uncached."""
    assert len(NAMES[name].encode()) <= names.MAX_NAME_BYTES
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(names, "_normalise", names._normalise.__wrapped__)
        assert seconds(partial(normalise, NAMES[name])) < BOUND


@pytest.mark.attack(31)
@pytest.mark.parametrize("unit", ["a", "a.", "ß", "\u0301", "\U0001f469\u200d", "\ud800", "\0"])
def test_a_name_of_four_thousand_characters_is_refused_at_its_length(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is done with it: it is neither encoded, nor normalised, nor remembered."""
    looked_at: list[str] = []
    monkeypatch.setattr(names, "_normalise", looked_at.append)
    monkeypatch.setattr(names, "_ensip15", looked_at.append)
    name = unit * (4_000 // len(unit))
    with pytest.raises(InvalidName):
        normalise(name)
    assert looked_at == []


@pytest.mark.attack(31)
def test_a_name_is_normalised_once_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    names._normalise.cache_clear()
    asked: list[str] = []
    real = names._ensip15

    def watched(name: str) -> str:
        asked.append(name)
        return real(name)

    monkeypatch.setattr(names, "_ensip15", watched)
    for _ in range(100):
        assert normalise("FAß.eth") == "faß.eth"
    assert asked == ["FAß.eth"]
    assert names._normalise.cache_info().maxsize is not None
    names._normalise.cache_clear()
