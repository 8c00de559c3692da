"""Layers of privacy routing: round trips of every length, sizes that tell little, and whatever is not as specified."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dm3 import layers
from gateway.dm3.canonical import stringify
from gateway.dm3.encryption import encrypt, parse_payload
from gateway.dm3.envelope import open_delivery_information, parse_envelope
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.layer_sizes import SIZE_CLASSES, class_of, plain_bytes, sealed_length
from gateway.dm3.layers import (
    MAX_DELAY_MS,
    MAX_HOPS,
    MAX_VALIDITY_MS,
    Hop,
    Layer,
    LayerMethod,
    open_layer,
    seal_layer,
    wrap,
)
from gateway.errors import DecryptionFailed, InvalidInput, TooLarge
from tests.support.layers import envelope_text, fields, plain_layer, relay, sealed_fields

NOW = 1_790_000_000_000
DESTINATION = "ds.destination.eth"
RELAYS = [relay(f"ds.relay{number}.eth") for number in range(MAX_HOPS)]
ENVELOPE = envelope_text()
ONE = RELAYS[0]
VECTOR = Path(__file__).parents[2] / "vectors" / "relay" / "layers.json"


def wrapped(length: int, envelope: str = ENVELOPE, **options: Any) -> str:
    hops = [each.hop for each in RELAYS[:length]]
    return wrap(envelope, hops, **{"destination": DESTINATION, "now": NOW, **options})


def opened(text: str, length: int) -> list[tuple[str, Layer]]:
    """The texts and layers that the relays of the chain get, one after the other."""
    found = []
    for each in RELAYS[:length]:
        layer = open_layer(text, each.keys)
        found.append((text, layer))
        text = layer.payload
    return found


def size_class(text: str) -> int:
    return class_of(len(parse_payload(text).ciphertext))


# --- there and back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", range(1, MAX_HOPS + 1))
@settings(max_examples=12, deadline=None)
@given(characters=st.integers(0, 60_000), delay=st.none() | st.integers(0, MAX_DELAY_MS))
def test_every_relay_learns_the_next_and_the_last_has_the_envelope(
    length: int, characters: int, delay: int | None
) -> None:
    envelope = envelope_text(characters)
    chain = [layer for _, layer in opened(wrapped(length, envelope, max_delay_ms=delay), length)]
    assert [layer.next for layer in chain] == [each.hop.name for each in RELAYS[1:length]] + [DESTINATION]
    assert [layer.method for layer in chain] == [LayerMethod.FORWARD] * (length - 1) + [LayerMethod.SUBMIT]
    assert chain[-1].payload == envelope
    assert {layer.max_delay_ms for layer in chain} == {delay}


@given(validity=st.integers(1000, MAX_VALIDITY_MS))
@settings(max_examples=30, deadline=None)
def test_nothing_in_two_layers_is_the_same_but_what_everybody_uses(validity: int) -> None:
    """Two relays that talk to each other must not find a common number."""
    chain = [layer for _, layer in opened(wrapped(3, validity_ms=validity), 3)]
    assert len({layer.id for layer in chain}) == 3
    assert all(len(layer.id) == 16 for layer in chain)
    for layer in chain:
        assert NOW + validity * 7 // 8 <= layer.valid_until <= NOW + validity
        layer.require_valid(NOW)


def test_validities_of_a_chain_differ() -> None:
    chain = [layer for _, layer in opened(wrapped(5), 5)]
    assert len({layer.valid_until for layer in chain}) == 5


def test_the_same_envelope_is_never_wrapped_the_same() -> None:
    assert wrapped(2) != wrapped(2)


def test_a_name_of_the_longest_kind_fits() -> None:
    name = ".".join(["ξ" * 31] * 4)[: 255 // 2] + ".eth"
    long = [Hop(name, each.hop.encryption_key) for each in RELAYS]
    text = wrap(ENVELOPE, long, destination=name, now=NOW, max_delay_ms=MAX_DELAY_MS)
    assert [layer.next for _, layer in opened(text, 5)] == [name] * 5


def test_a_relay_opens_its_own_layer_only() -> None:
    text = wrapped(3)
    for other in [*RELAYS[1:], relay("ds.stranger.eth")]:
        with pytest.raises(DecryptionFailed):
            open_layer(text, other.keys)


def test_what_a_relay_sees_names_nothing_behind_the_next_hop() -> None:
    chain = opened(wrapped(4), 4)
    hidden = {"secret", DESTINATION, *(each.hop.name for each in RELAYS)}
    for _, layer in chain:
        seen = stringify(layer.to_json())
        assert {word for word in hidden if word in seen} == {layer.next}


# --- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", range(1, MAX_HOPS + 1))
@settings(max_examples=10, deadline=None)
@given(characters=st.integers(0, 30_000))
def test_sizes_are_of_the_list_and_fall_by_one_class(length: int, characters: int) -> None:
    texts = [text for text, _ in opened(wrapped(length, envelope_text(characters)), length)]
    classes = [size_class(text) for text in texts]
    assert [len(text) for text in texts] == [sealed_length(SIZE_CLASSES[each]) for each in classes]
    assert all(before - after == 1 for before, after in pairwise(classes))
    # Never more than the longest chain would cost.
    needed = next(c for c in range(len(SIZE_CLASSES)) if len(envelope_text(characters)) + 500 <= plain_bytes(c))
    assert classes[0] <= needed + MAX_HOPS - 1


def test_sizes_do_not_tell_how_many_relays_follow() -> None:
    """The size that a relay gets with a short message is one of several, whatever its place is."""
    seen: dict[int, set[int]] = {}
    for length in range(1, MAX_HOPS + 1):
        for _ in range(40):
            for left, (text, _) in zip(range(length, 0, -1), opened(wrapped(length), length), strict=True):
                seen.setdefault(size_class(text), set()).add(left)
    assert seen == {0: {1}, 1: {1, 2}, 2: {1, 2, 3}, 3: {1, 2, 3, 4}, 4: {1, 2, 3, 4, 5}}


@pytest.mark.parametrize("length", range(1, MAX_HOPS + 1))
def test_short_messages_of_different_lengths_have_the_same_sizes(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.dm3.layers.secrets.randbelow", lambda _: 0)
    sizes = {len(wrapped(length, envelope_text(characters))) for characters in (0, 1, 100, 1500)}
    assert len(sizes) == 1


def test_large_envelopes_are_not_filled_up_at_random() -> None:
    assert len({len(wrapped(1, envelope_text(60_000))) for _ in range(12)}) == 1


def test_what_no_layer_holds_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "SIZE_CLASSES", SIZE_CLASSES[:4])
    wrapped(4)
    with pytest.raises(TooLarge):
        wrapped(5)


# --- changed on the way ---------------------------------------------------------------------------------------------

TEXT = wrapped(1)


@settings(max_examples=400, deadline=None)
@given(position=st.integers(0, len(TEXT) - 1), bit=st.integers(0, 7))
def test_any_changed_bit_is_refused(position: int, bit: int) -> None:
    changed = TEXT[:position] + chr(ord(TEXT[position]) ^ (1 << bit)) + TEXT[position + 1 :]
    with pytest.raises((DecryptionFailed, InvalidInput)):
        open_layer(changed, ONE.keys)


def test_any_changed_bit_of_the_frame_is_refused() -> None:
    """Every bit around the ciphertext: names of fields, nonce, ephemeral key, quotes."""
    inside = TEXT.index('","ephemPublicKey')
    for position in [*range(40), *range(inside - 40, len(TEXT))]:
        for bit in range(8):
            changed = TEXT[:position] + chr(ord(TEXT[position]) ^ (1 << bit)) + TEXT[position + 1 :]
            with pytest.raises((DecryptionFailed, InvalidInput)):
                open_layer(changed, ONE.keys)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: " " + text,
        lambda text: text + "\n",
        lambda text: text.replace(",", ", "),
        lambda text: text.replace('"nonce":"0x', '"nonce":"'),
        lambda text: text[:-1] + ',"more":1}',
        lambda text: json.dumps(dict(reversed(json.loads(text).items())), separators=(",", ":")),
        lambda text: stringify({**json.loads(text), "nonce": json.loads(text)["nonce"].upper().replace("X", "x")}),
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: "\ud800",
        lambda text: text.replace("A", "Ä"),
    ],
)
def test_another_spelling_of_the_same_layer_is_refused(change: Any) -> None:
    with pytest.raises((DecryptionFailed, InvalidInput)):
        open_layer(change(TEXT), ONE.keys)


def test_more_bytes_than_allowed_are_refused_unread() -> None:
    open_layer(TEXT, ONE.keys, max_bytes=len(TEXT))
    with pytest.raises(TooLarge):
        open_layer(TEXT, ONE.keys, max_bytes=len(TEXT) - 1)


# --- made otherwise than specified ----------------------------------------------------------------------------------

RIGHT = plain_layer(ENVELOPE)
INNER = seal_layer(RIGHT, RELAYS[1].hop.encryption_key, 1)


def test_the_right_layer_of_these_tests_is_right() -> None:
    assert open_layer(sealed_fields(fields(RIGHT), ONE.hop.encryption_key, 0), ONE.keys) == RIGHT
    forwarded = plain_layer(INNER, LayerMethod.FORWARD, max_delay_ms=0)
    assert open_layer(sealed_fields(fields(forwarded), ONE.hop.encryption_key, 2), ONE.keys) == forwarded


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 2},
        {"version": True},
        {"version": "1"},
        {"version": None},
        {"id": None},
        {"id": "0x" + "0" * 30},
        {"id": "0x" + "0" * 34},
        {"id": "0" * 32},
        {"id": 1},
        {"method": "dm3_getProfileExtension"},
        {"method": ""},
        {"method": 1},
        {"next": None},
        {"next": ""},
        {"next": "a b.eth"},
        {"next": "a\n.eth"},
        {"next": "x" * 256},
        {"next": 5},
        {"validUntil": "1800000000000"},
        {"validUntil": -1},
        {"validUntil": 1.5},
        {"validUntil": 2**53 + 2},
        {"validUntil": None},
        {"maxDelay": -1},
        {"maxDelay": MAX_DELAY_MS + 1},
        {"maxDelay": "5"},
        {"maxDelay": False},
        {"payload": None},
        {"payload": ""},
        {"payload": {"message": "x"}},
        {"payload": "{}"},
        {"payload": "x" * 100},
        {"payload": " " + ENVELOPE},
        {"payload": INNER},
        {"more": "field"},
        {"from": "sender.eth"},
        {"padding": None},
        {"padding": 0},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_fields_that_are_not_as_specified(changed: dict[str, Any]) -> None:
    text = sealed_fields(fields(RIGHT, **changed), ONE.hop.encryption_key, 0)
    with pytest.raises(InvalidInput):
        open_layer(text, ONE.keys)


def test_an_id_in_upper_case_reads_as_the_same_id() -> None:
    """A sender's spelling; its bytes are what is remembered."""
    layer = plain_layer(ENVELOPE, id=b"\xab" * 16)
    text = sealed_fields(fields(layer, id="0x" + "AB" * 16), ONE.hop.encryption_key, 0)
    assert open_layer(text, ONE.keys).id == layer.id


@pytest.mark.parametrize("filler", ["1", "x", " "])
def test_padding_with_other_characters(filler: str) -> None:
    with pytest.raises(InvalidInput):
        open_layer(sealed_fields(fields(RIGHT), ONE.hop.encryption_key, 0, filler), ONE.keys)


@pytest.mark.parametrize("missing", [1, 2, 500])
def test_padding_that_is_too_short(missing: int) -> None:
    right = fields(RIGHT)
    room = plain_bytes(0) - len(stringify(right).encode())
    text = encrypt(ONE.hop.encryption_key, stringify({**right, "padding": "0" * (room - missing)}))
    with pytest.raises(InvalidInput):
        open_layer(text, ONE.keys)


def test_a_size_between_the_classes() -> None:
    text = encrypt(ONE.hop.encryption_key, stringify({**fields(RIGHT), "padding": "0" * 3000}))
    with pytest.raises(InvalidInput):
        open_layer(text, ONE.keys)


def test_a_plaintext_in_another_spelling() -> None:
    right = fields(RIGHT)
    room = plain_bytes(0) - len(json.dumps(right).encode())
    text = encrypt(ONE.hop.encryption_key, json.dumps({**right, "padding": "0" * room}))
    with pytest.raises(InvalidInput):
        open_layer(text, ONE.keys)


@pytest.mark.parametrize("plain", ["", "[]", "null", "{", "[" * 30, "\x00", '{"version":1,"version":1}'])
def test_a_plaintext_that_is_no_layer(plain: str) -> None:
    with pytest.raises(InvalidInput):
        open_layer(encrypt(ONE.hop.encryption_key, plain + " " * (plain_bytes(0) - len(plain))), ONE.keys)


@pytest.mark.parametrize("outer", [1, 3, 5])
def test_a_layer_inside_is_exactly_one_class_smaller(outer: int) -> None:
    """Or a chain could be longer than its size says."""
    layer = plain_layer(INNER, LayerMethod.FORWARD)
    if outer == 1:
        layer = plain_layer(seal_layer(RIGHT, RELAYS[1].hop.encryption_key, 0), LayerMethod.FORWARD)
        open_layer(seal_layer(layer, ONE.hop.encryption_key, 1), ONE.keys)
        return
    with pytest.raises(InvalidInput):
        open_layer(seal_layer(layer, ONE.hop.encryption_key, outer), ONE.keys)


def test_the_smallest_layer_has_none_inside() -> None:
    tiny = encrypt(RELAYS[1].hop.encryption_key, "x")
    text = sealed_fields(fields(plain_layer(tiny, LayerMethod.FORWARD)), ONE.hop.encryption_key, 0)
    with pytest.raises(InvalidInput):
        open_layer(text, ONE.keys)


def test_chains_longer_than_five_end_by_size() -> None:
    """A relay cannot count what is sealed. What is left of a class says how many layers there can be at the most."""
    text, depth, size = seal_layer(RIGHT, ONE.hop.encryption_key, 0), 1, 0
    while size < 8:
        size += 1
        text, depth = seal_layer(plain_layer(text, LayerMethod.FORWARD), ONE.hop.encryption_key, size), depth + 1
    assert (size_class(text), depth) == (8, 9)
    with pytest.raises(InvalidInput):
        seal_layer(plain_layer(text, LayerMethod.FORWARD), ONE.hop.encryption_key, size)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: {**value, "metadata": {**value["metadata"], "deliveryInformation": {"to": "a.eth", "from": "b"}}},
        lambda value: {**value, "metadata": {**value["metadata"], "deliveryInformation": '{"to":"a.eth","from":"b"}'}},
        lambda value: {**value, "more": 1},
        lambda value: {"metadata": value["metadata"]},
        lambda value: {"message": value["message"]},
        lambda value: {**value, "message": 5},
    ],
)
def test_an_envelope_that_would_tell_a_relay_names_is_neither_wrapped_nor_taken(change: Any) -> None:
    text = stringify(change(json.loads(ENVELOPE)))
    with pytest.raises(InvalidInput):
        wrapped(1, text)
    with pytest.raises(InvalidInput):
        open_layer(sealed_fields(fields(plain_layer(text)), ONE.hop.encryption_key, 0), ONE.keys)


# --- what is not wrapped --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hops", "options"),
    [
        ([], {}),
        ([RELAYS[0].hop] * 6, {}),
        ([Hop("ds.relay.eth", b"short")], {}),
        ([Hop("ds.relay.eth", bytes(32))], {}),
        ([RELAYS[0].hop], {"validity_ms": 0}),
        ([RELAYS[0].hop], {"validity_ms": MAX_VALIDITY_MS + 1}),
        ([RELAYS[0].hop], {"max_delay_ms": -1}),
        ([RELAYS[0].hop], {"max_delay_ms": MAX_DELAY_MS + 1}),
    ],
)
def test_what_no_relay_would_take_is_not_wrapped(hops: list[Hop], options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        wrap(ENVELOPE, hops, destination=DESTINATION, now=NOW, **options)


@pytest.mark.parametrize("envelope", ["", "x", "{}", "[]", ENVELOPE + " "])
def test_what_is_no_envelope_is_not_wrapped(envelope: str) -> None:
    with pytest.raises(InvalidInput):
        wrapped(1, envelope)


@pytest.mark.parametrize(
    ("valid_until", "right"),
    [
        (NOW - 1, False),
        (NOW, False),
        (NOW + 1, True),
        (NOW + MAX_VALIDITY_MS, True),
        (NOW + MAX_VALIDITY_MS + 1, False),
    ],
)
def test_the_time_of_a_layer(valid_until: int, right: bool) -> None:
    layer = plain_layer(ENVELOPE, valid_until=valid_until)
    if right:
        layer.require_valid(NOW)
        return
    with pytest.raises(InvalidInput):
        layer.require_valid(NOW)


# --- for other implementations --------------------------------------------------------------------------------------


def test_the_published_chain_opens_as_published() -> None:
    """Frozen: a change of the format is a new version, and this one is still read."""
    vector = json.loads(VECTOR.read_text("utf-8"))
    text = vector["layer"]
    for each in vector["relays"]:
        seed = bytes.fromhex(each["encryptionSeed"])
        layer = open_layer(text, ServiceKeys.from_seeds(seed, bytes(32)))
        assert stringify(fields(layer, padding=None, payload=None)) == stringify(each["opened"])
        text = layer.payload
    destination = ServiceKeys.from_seeds(bytes.fromhex(vector["destination"]["encryptionSeed"]), bytes(32))
    information = open_delivery_information(parse_envelope(text), destination)
    assert information.to_json() == vector["destination"]["deliveryInformation"]
