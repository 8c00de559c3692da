"""Sign-In with Ethereum: what is signed, what is read back, and that every field binds (ERC-4361)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.eth import address_of, checksum, sign_text
from gateway.dm3.siwe import CLOCK_LEEWAY_MS, MAX_TEXT, Purpose, SiweMessage, check_siwe, parse_siwe
from gateway.errors import GatewayError, InvalidInput, WalletRefused
from gateway.ids import EthAddress

KEY = bytes(range(1, 33))
OTHER_KEY = bytes(range(2, 34))
NOW = 1_790_000_000_123
MINUTE = 60_000
PURPOSE = Purpose(
    domain="gw.example:8443",
    uri="https://gw.example:8443",
    chain_id=31337,
    statement="Remove my account at ds.gw.eth and delete all mail that waits there.",
    longest_ms=10 * MINUTE,
)
MESSAGE = SiweMessage(
    domain=PURPOSE.domain,
    address=address_of(KEY),
    statement=PURPOSE.statement,
    uri=PURPOSE.uri,
    chain_id=PURPOSE.chain_id,
    nonce="a1b2c3d4e5f60718",
    issued_at=NOW,
    expires_at=NOW + 10 * MINUTE,
)
TEXT = MESSAGE.to_text()

WRITTEN = (
    "gw.example:8443 wants you to sign in with your Ethereum account:\n"
    "0x6370eF2f4Db3611D657b90667De398a2Cc2a370C\n"
    "\n"
    "Remove my account at ds.gw.eth and delete all mail that waits there.\n"
    "\n"
    "URI: https://gw.example:8443\n"
    "Version: 1\n"
    "Chain ID: 31337\n"
    "Nonce: a1b2c3d4e5f60718\n"
    "Issued At: 2026-09-21T14:13:20.123Z\n"
    "Expiration Time: 2026-09-21T14:23:20.123Z"
)
"""The message above, written by hand after ERC-4361."""
SIGNATURE = (
    "0xce3abe11706238bd3346122d7ef5c55aaeb697da64dbf16229a20ba9c9973ae82a"
    "edc192ddcd645d5239df163684b37a6ca743667ffd36c67e6b1c44b3753af11c"
)
"""personal_sign of it by eth-account."""


def test_the_text_is_the_one_of_the_standard() -> None:
    assert TEXT == WRITTEN
    assert parse_siwe(WRITTEN) == MESSAGE


def test_a_signature_of_another_library_is_good() -> None:
    assert sign_text(KEY, WRITTEN) == SIGNATURE
    assert check_siwe(WRITTEN, SIGNATURE, PURPOSE, NOW) == MESSAGE


def test_a_message_without_optional_parts() -> None:
    written = (
        "localhost wants you to sign in with your Ethereum account:\n"
        "0x6370eF2f4Db3611D657b90667De398a2Cc2a370C\n"
        "\n"
        "\n"
        "URI: http://localhost/\n"
        "Version: 1\n"
        "Chain ID: 1\n"
        "Nonce: 12345678\n"
        "Issued At: 1970-01-01T00:00:01.000Z"
    )
    message = SiweMessage(
        domain="localhost",
        address=MESSAGE.address,
        statement=None,
        uri="http://localhost/",
        chain_id=1,
        nonce="12345678",
        issued_at=1000,
    )
    assert message.to_text() == written
    assert parse_siwe(written) == message


def test_not_before_comes_last() -> None:
    message = replace(MESSAGE, not_before=NOW + 1)
    assert message.to_text() == WRITTEN + "\nNot Before: 2026-09-21T14:13:20.124Z"
    assert parse_siwe(message.to_text()) == message


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ("2026-09-21T14:13:20Z", 1_790_000_000_000),
        ("2026-09-21T14:13:20.5Z", 1_790_000_000_500),
        ("2026-09-21T14:13:20.123456789Z", 1_790_000_000_123),
        ("2026-09-21T16:13:20.123+02:00", 1_790_000_000_123),
        ("2026-09-21T08:43:20.001-05:30", 1_790_000_000_001),
        ("1970-01-01T00:00:00.001Z", 1),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2028-02-29T00:00:00Z", 1_835_395_200_000),
    ],
)
def test_times_of_other_wallets_and_sites_are_read(written: str, milliseconds: int) -> None:
    assert parse_siwe(issued(written)).issued_at == milliseconds


@pytest.mark.parametrize(
    "written",
    [
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-09-21T24:00:01Z",
        "2026-09-21T14:13:60Z",
        "2026-09-21T14:13:20+25:00",
        "0000-01-01T00:00:00Z",
        "2026-09-21 14:13:20Z",
        "2026-09-21T14:13:20",
        "2026-09-21T14:13:20.Z",
        "2026-09-21T14:13:20.1234567890Z",
        "2026-9-21T14:13:20Z",
        "20260921T141320Z",
        "2026-W39-1T14:13:20Z",
        "1790000000",
        "٢٠٢٦-٠٩-٢١T١٤:١٣:٢٠Z",
        "2026-09-21T14:13:20Z ",
        "",
    ],
)
def test_times_that_do_not_exist_or_are_written_otherwise(written: str) -> None:
    with pytest.raises(InvalidInput):
        parse_siwe(issued(written))


def issued(written: str) -> str:
    return "\n".join(
        f"Issued At: {written}" if line.startswith("Issued At") else line for line in WRITTEN.split("\n")[:-1]
    )


# --- each field binds -----------------------------------------------------------------------------------------------


def refused(text: str, signature: str, *, now: int = NOW, purpose: Purpose = PURPOSE) -> type[GatewayError] | None:
    try:
        check_siwe(text, signature, purpose, now)
    except GatewayError as error:
        return type(error)
    return None


FOR_SOMETHING_ELSE = {
    "domain": replace(MESSAGE, domain="evil.example:8443"),
    "domain without its port": replace(MESSAGE, domain="gw.example"),
    "domain in other letters": replace(MESSAGE, domain="GW.example:8443"),
    "domain with a suffix": replace(MESSAGE, domain="gw.example:8443.evil.example"),
    "uri": replace(MESSAGE, uri="https://evil.example"),
    "uri with a path": replace(MESSAGE, uri="https://gw.example:8443/"),
    "uri of the other scheme": replace(MESSAGE, uri="http://gw.example:8443"),
    "chain id": replace(MESSAGE, chain_id=1),
    "statement": replace(MESSAGE, statement="Sign in."),
    "no statement": replace(MESSAGE, statement=None),
    "statement with more": replace(MESSAGE, statement=PURPOSE.statement + " "),
    "issued too early": replace(MESSAGE, issued_at=NOW - 10 * MINUTE),
    "issued in the future": replace(MESSAGE, issued_at=NOW + CLOCK_LEEWAY_MS + 1),
    "expired": replace(MESSAGE, expires_at=NOW),
    "expired before it was issued": replace(MESSAGE, expires_at=NOW - MINUTE),
    "not before later": replace(MESSAGE, not_before=NOW + CLOCK_LEEWAY_MS + 1),
}


@pytest.mark.attack(7)
@pytest.mark.parametrize("what", FOR_SOMETHING_ELSE)
def test_a_signature_for_something_else_is_worth_nothing(what: str) -> None:
    """Signed by the right wallet, but for another site, chain, purpose or time."""
    text = FOR_SOMETHING_ELSE[what].to_text()
    assert refused(text, sign_text(KEY, text)) is WalletRefused


@pytest.mark.attack(7)
@pytest.mark.attack(9)
def test_a_signature_of_somebody_else() -> None:
    text = replace(MESSAGE, address=address_of(OTHER_KEY)).to_text()
    assert refused(TEXT, sign_text(OTHER_KEY, TEXT)) is WalletRefused
    assert refused(text, sign_text(KEY, text)) is WalletRefused
    assert refused(text, sign_text(OTHER_KEY, text)) is None, "the caller looks at the address that is returned"
    assert check_siwe(text, sign_text(OTHER_KEY, text), PURPOSE, NOW).address == address_of(OTHER_KEY)


SIGNED = sign_text(KEY, TEXT)
HALF = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def malleable(signature: str) -> str:
    """The other signature that the curve gives for free: n - s, and the other recovery byte."""
    r, s, v = signature[2:66], int(signature[66:130], 16), int(signature[130:], 16)
    return f"0x{r}{2 * HALF + 1 - s:064x}{55 - v:02x}"


@pytest.mark.attack(7)
@pytest.mark.parametrize(
    "signature",
    [
        "",
        "0x",
        SIGNED[2:-2],
        SIGNED + "00",
        SIGNED[:-2] + "1d",
        "0x" + "00" * 65,
        "0x" + "ff" * 65,
        "0x" + "zz" * 65,
        malleable(SIGNED),
        sign_text(KEY, TEXT + "\n"),
        sign_text(KEY, TEXT.replace("\n", "\r\n")),
        "\ud800" * 132,
        "0x" + "٠" * 130,
    ],
    ids=ascii,
)
def test_what_is_no_signature_of_this_text(signature: str) -> None:
    assert refused(TEXT, signature) is WalletRefused


def test_the_edges_of_its_time() -> None:
    assert refused(TEXT, SIGNED, now=NOW + 10 * MINUTE - 1) is None
    assert refused(TEXT, SIGNED, now=NOW + 10 * MINUTE) is WalletRefused
    assert refused(TEXT, SIGNED, now=NOW - CLOCK_LEEWAY_MS) is None, "the wallet's clock may run ahead a little"
    assert refused(TEXT, SIGNED, now=NOW - CLOCK_LEEWAY_MS - 1) is WalletRefused


@pytest.mark.attack(7)
def test_a_message_cannot_give_itself_more_time() -> None:
    for message in (replace(MESSAGE, expires_at=None), replace(MESSAGE, expires_at=NOW + 1000 * MINUTE)):
        text = message.to_text()
        assert refused(text, sign_text(KEY, text), now=NOW + 10 * MINUTE - 1) is None
        assert refused(text, sign_text(KEY, text), now=NOW + 10 * MINUTE) is WalletRefused


# --- what is no message ---------------------------------------------------------------------------------------------


def line(number: int, new: str | None) -> Callable[[str], str]:
    """Replaces a line, or takes it out."""

    def change(text: str) -> str:
        lines = text.split("\n")
        lines[number : number + 1] = [] if new is None else [new]
        return "\n".join(lines)

    return change


def swapped(text: str) -> str:
    lines = text.split("\n")
    lines[-1], lines[-2] = lines[-2], lines[-1]
    return "\n".join(lines)


NOT_A_MESSAGE: dict[str, Callable[[str], str]] = {
    "nothing": lambda _: "",
    "text behind it": lambda text: text + "x",
    "a line end behind it": lambda text: text + "\n",
    "a line behind it": lambda text: text + "\nI also sell my house.",
    "text before it": lambda text: "\n" + text,
    "a request id": lambda text: text + "\nRequest ID: 1",
    "resources": lambda text: text + "\nResources:\n- https://evil.example",
    "other line ends": lambda text: text.replace("\n", "\r\n"),
    "old line ends": lambda text: text.replace("\n", "\r"),
    "one other line end": lambda text: text.replace("\nVersion", "\r\nVersion"),
    "another line separator": lambda text: text.replace("\nNonce", "\u2028Nonce"),
    "fields in another order": swapped,
    "a field twice": lambda text: text.replace("\nVersion: 1", "\nVersion: 1\nVersion: 1"),
    "a scheme before the domain": lambda text: "https://" + text,
    "a user before the domain": lambda text: "gw.example@" + text,
    "no domain": line(0, " wants you to sign in with your Ethereum account:"),
    "a domain with a blank": line(0, "gw example wants you to sign in with your Ethereum account:"),
    "another sentence": line(0, "gw.example:8443 wants you to sign in with your account:"),
    "an address in small letters": line(1, MESSAGE.address),
    "an address with a wrong checksum": line(1, "0x6370EF2f4Db3611D657b90667De398a2Cc2a370C"),
    "an address in capitals": line(1, "0x" + MESSAGE.address[2:].upper()),
    "a short address": line(1, "0x6370eF2f4Db3611D657b90667De398a2Cc2a37"),
    "a name for an address": line(1, "alice.eth"),
    "no line before the statement": line(2, None),
    "no line behind the statement": line(4, None),
    "two lines of statement": line(3, "Remove my account.\nAnd all else."),
    "a statement with a control character": line(3, "Remove\tmy account."),
    "a statement that is not ASCII": line(3, "Remove my \u0430ccount."),
    "a statement that is too long": line(3, "x" * 1025),
    "an empty uri": line(5, "URI: "),
    "a uri with a blank": line(5, "URI: https://gw.example:8443 "),
    "another version": line(6, "Version: 2"),
    "no version": line(6, None),
    "a chain id of 0": line(7, "Chain ID: 0"),
    "a chain id with a zero in front": line(7, "Chain ID: 031337"),
    "a chain id that is no number": line(7, "Chain ID: 0x7a69"),
    "a chain id beyond all": line(7, "Chain ID: " + "9" * 19),
    "a chain id of other digits": line(7, "Chain ID: ٣١٣٣٧"),
    "a short nonce": line(8, "Nonce: 1234567"),
    "a long nonce": line(8, "Nonce: " + "1" * 129),
    "a nonce with a sign": line(8, "Nonce: a1b2c3d4-e5f60718"),
    "a nonce of other letters": line(8, "Nonce: \u0430bcdefgh"),
    "no nonce": line(8, None),
    "no time of issue": line(9, None),
    "an empty expiration": line(10, "Expiration Time: "),
    "a field without its blank": line(8, "Nonce:a1b2c3d4e5f60718"),
    "a lone surrogate": line(3, "\ud800"),
    "a zero byte": lambda text: text + "\0",
}


@pytest.mark.attack(7)
@pytest.mark.parametrize("what", NOT_A_MESSAGE)
def test_what_is_no_message_is_refused_before_its_signature_is_looked_at(what: str) -> None:
    text = NOT_A_MESSAGE[what](WRITTEN)
    assert text != WRITTEN
    with pytest.raises(InvalidInput):
        parse_siwe(text)
    assert refused(text, SIGNED) is InvalidInput


# --- properties -----------------------------------------------------------------------------------------------------

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000
)
MESSAGES = st.builds(
    SiweMessage,
    domain=st.from_regex(r"[a-z0-9.:\[\]-]{1,60}", fullmatch=True),
    address=st.binary(min_size=20, max_size=20).map(lambda raw: EthAddress("0x" + raw.hex())),
    statement=st.none() | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=100),
    uri=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=100),
    chain_id=st.integers(1, 10**18 - 1),
    nonce=st.from_regex(r"[A-Za-z0-9]{8,128}", fullmatch=True),
    issued_at=MOMENTS,
    expires_at=st.none() | MOMENTS,
    not_before=st.none() | MOMENTS,
)


@given(MESSAGES)
def test_what_is_written_is_read_back(message: SiweMessage) -> None:
    """To the millisecond: a time that is read earlier than it was written would end a text before its time."""
    assert parse_siwe(message.to_text()) == message


@given(st.text(max_size=300) | st.integers(0, len(WRITTEN)).flatmap(lambda cut: st.just(WRITTEN[:cut])))
def test_no_text_raises_anything_unnamed(text: str) -> None:
    assert refused(text, SIGNED) in {InvalidInput, WalletRefused, None}


@given(st.integers(0, len(WRITTEN) - 1), st.characters())
def test_no_character_can_be_changed_under_a_signature(place: int, new: str) -> None:
    text = WRITTEN[:place] + new + WRITTEN[place + 1 :]
    assert text == WRITTEN or refused(text, SIGNED) in {InvalidInput, WalletRefused}


@pytest.mark.attack(30)
@pytest.mark.parametrize("size", [4_000, 100_000])
@pytest.mark.parametrize(
    "worst",
    [
        lambda size: "a" * size,
        lambda size: "\n" * size,
        lambda size: WRITTEN + "\n" * (size - len(WRITTEN)),
        lambda size: "a." * (size // 2) + " wants you to sign in with your Ethereum account:",
        lambda size: WRITTEN.replace("Remove", "Remove" * (size // 7)),
        lambda size: WRITTEN.replace("URI: https://", "URI: " + "https://" * (size // 9)),
        lambda size: WRITTEN.replace("\nURI", "\nURI: x\nURI" * (size // 12)),
        lambda size: WRITTEN.replace("Nonce: ", "Nonce: " + "a" * size),
        lambda size: WRITTEN.replace(".123Z", "." + "1" * size + "Z"),
        lambda size: WRITTEN + "\nNot Before: 2026-09-21T14:23:20.123Z" * (size // 38),
        lambda size: "wants you to sign in with your Ethereum account:\n" * (size // 49),
    ],
)
def test_no_text_takes_long_to_refuse(worst: Callable[[int], str], size: int) -> None:
    text = worst(size)
    best = min(_seconds(text) for _ in range(3))
    assert best < 0.05


def _seconds(text: str) -> float:
    started = time.process_time()
    with pytest.raises(InvalidInput):
        parse_siwe(text)
    return time.process_time() - started


def test_the_longest_message_is_read() -> None:
    message = replace(MESSAGE, domain="a" * 255, statement="x" * 1024, uri="u" * 1024, nonce="n" * 128)
    text = replace(message, not_before=NOW).to_text()
    assert len(text) < MAX_TEXT
    assert parse_siwe(text) == replace(message, not_before=NOW)
    with pytest.raises(InvalidInput):
        parse_siwe(text.ljust(MAX_TEXT + 1, "x"))


def test_addresses_are_shown_checksummed_and_kept_in_small_letters() -> None:
    assert checksum(MESSAGE.address) in TEXT
    assert parse_siwe(TEXT).address == MESSAGE.address.lower()
