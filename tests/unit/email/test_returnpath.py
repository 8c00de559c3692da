"""The signed return path: what comes back, and everything that was not signed by us."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.addresses import parse_path
from adapters.email.returnpath import ReturnPath, parse_key
from gateway.sdk import ConfigError, InvalidInput, MessageHash

DAY = 24 * 3600 * 1000
NOW = 20_833 * DAY + 5
PATH = ReturnPath("gw.example", bytes(range(32)))
HASH = MessageHash("0x" + "ab" * 16 + "cd" * 16)


def local(address: str) -> str:
    return address.partition("@")[0]


@given(st.binary(min_size=32, max_size=32), st.integers(0, DAY * 65_535))
def test_a_bounce_finds_its_message(digest: bytes, now: int) -> None:
    address = PATH.address(MessageHash("0x" + digest.hex()), now)
    assert PATH.message_prefix(local(address), now) == "0x" + digest[:16].hex()
    assert parse_path(f"<{address}>", own_domain="gw.example") == (address, "")


def test_case_does_not_matter() -> None:
    assert PATH.message_prefix(local(PATH.address(HASH, NOW)).upper(), NOW) == HASH[:34]


def test_the_signature_has_80_bits_and_all_of_it_fits_into_a_local_part() -> None:
    token = local(PATH.address(HASH, NOW)).removeprefix("b+")
    assert len(token) == 45  # 16 bytes of the hash, 2 of the day and 10 of the signature, in base32
    assert len("b+" + token) <= 64


@pytest.mark.parametrize(("days", "good"), [(0, True), (5, True), (12, True), (13, False), (-1, True), (-2, False)])
def test_it_ends_with_time(days: int, good: bool) -> None:
    address = local(PATH.address(HASH, NOW))
    if good:
        assert PATH.message_prefix(address, NOW + days * DAY) == HASH[:34]
    else:
        with pytest.raises(InvalidInput, match="too old"):
            PATH.message_prefix(address, NOW + days * DAY)


def test_another_key_is_refused() -> None:
    with pytest.raises(InvalidInput):
        ReturnPath("gw.example", bytes(32)).message_prefix(local(PATH.address(HASH, NOW)), NOW)


def test_any_changed_letter_is_refused() -> None:
    token = local(PATH.address(HASH, NOW))
    for position in range(2, len(token) - 1):  # the last letter carries a bit that base32 does not use
        changed = token[:position] + ("a" if token[position] != "a" else "b") + token[position + 1 :]
        with pytest.raises(InvalidInput):
            PATH.message_prefix(changed, NOW)


@pytest.mark.parametrize("address", ["b+", "b+a", "b+!!!!", "b+" + "a" * 42, "b+" + "ä" * 8, "alice.eth"])
def test_what_is_none(address: str) -> None:
    with pytest.raises(InvalidInput):
        PATH.message_prefix(address, NOW)


@given(st.text(max_size=80))
def test_no_text_passes(text: str) -> None:
    with pytest.raises(InvalidInput):
        PATH.message_prefix("b+" + text, NOW)


def test_the_key_is_not_shown() -> None:
    assert bytes(range(32)).hex() not in repr(PATH)
    assert repr(bytes(range(32))) not in repr(PATH)


def test_keys() -> None:
    assert parse_key("ab" * 32 + "\n") == b"\xab" * 32
    for text in ("", "ab" * 31, "ab" * 33, "zz" * 32):
        with pytest.raises(ConfigError):
            parse_key(text)
