"""What services announce, read by somebody who is about to write: every form that is about, and none that is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.encryption import SCHEME
from gateway.dm3.extension import (
    MAX_SCHEME,
    MAX_SCHEMES,
    ProfileExtension,
    ServiceProperties,
    read_extension,
)
from gateway.dm3.message import MessageType
from gateway.dm3.sender_rules import SenderRules
from gateway.errors import InvalidInput

ALL = frozenset(MessageType)
NEW = MessageType.NEW

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "supportedMessageTypes",
        "supportedMesssageTypes",
        "notSupportedMessageTypes",
        "encryptionScheme",
        "encryptionAlgorithm",
        "maxAttachmentBytes",
        "endToEnd",
        "spamFilterRules",
    ]
)


@pytest.mark.weakness(10)
@pytest.mark.parametrize(
    ("announced", "types"),
    [
        ({}, ALL),
        ({"supportedMessageTypes": ["NEW", "EDIT"]}, {NEW, MessageType.EDIT}),
        ({"supportedMesssageTypes": ["NEW", "REPLY"]}, {NEW, MessageType.REPLY}),
        (
            {"supportedMessageTypes": ["NEW", "READ_RECEIPT"]},
            {NEW, MessageType.READ_OPENED, MessageType.READ_RECEIVED},
        ),
        ({"supportedMessageTypes": []}, {NEW}),
        ({"supportedMessageTypes": ["EDIT"]}, {NEW, MessageType.EDIT}),
        ({"supportedMessageTypes": ["LINK", "NEW"]}, {NEW}),
        ({"notSupportedMessageTypes": ["NEW"]}, ALL),
        ({"notSupportedMessageTypes": ["REACTION", "EDIT"]}, ALL - {MessageType.REACTION, MessageType.EDIT}),
        ({"notSupportedMessageTypes": []}, ALL),
        (
            {"supportedMessageTypes": ["NEW", "EDIT", "REPLY"], "notSupportedMessageTypes": ["EDIT"]},
            {NEW, MessageType.REPLY},
        ),
        ({"supportedMessageTypes": "NEW"}, ALL),
        ({"supportedMessageTypes": ["NEW", 1]}, ALL),
        ({"supportedMessageTypes": {"NEW": True}}, ALL),
        ({"notSupportedMessageTypes": [None]}, ALL),
        ({"supportedMessageTypes": ["NEW"], "spamFilterRules": {"minNonce": "many"}}, {NEW}),
        ({"supportedMessageTypes": ["NEW"], "spamFilterRules": []}, {NEW}),
    ],
    ids=lambda value: repr(sorted(value)) if isinstance(value, set | frozenset) else str(value),
)
def test_types_in_every_style(announced: dict[str, Any], types: set[MessageType]) -> None:
    assert read_extension(announced).types == types


@pytest.mark.parametrize("nothing", [None, [], "", "NEW", 1, True])
def test_what_is_no_extension_binds_nobody(nothing: Any) -> None:
    assert read_extension(nothing) == ProfileExtension()
    with pytest.raises(InvalidInput):
        ProfileExtension.from_json(nothing)


def test_rules_that_cannot_be_read_are_named_to_who_wants_to_know() -> None:
    broken: Any = {"spamFilterRules": {"minBalance": "a lot"}}
    with pytest.raises(InvalidInput):
        ProfileExtension.from_json(broken)
    assert read_extension(broken).rules == SenderRules()


def test_rules_of_the_reference_are_read() -> None:
    token = "0x" + "ab" * 20
    extension = read_extension(
        {
            "notSupportedMessageTypes": ["NEW"],
            "spamFilterRules": {
                "minNonce": 3,
                "minBalance": "100000000000000000",
                "minTokenBalance": {"address": token, "amount": "5"},
            },
        }
    )
    assert (extension.rules.min_nonce, extension.rules.min_balance) == (3, 10**17)
    assert extension.rules.min_token_balance is not None
    assert extension.rules.asks_the_chain


@pytest.mark.parametrize(
    ("announced", "ours"),
    [
        ({}, True),
        ({"encryptionScheme": [SCHEME]}, True),
        ({"encryptionScheme": ["rot13", SCHEME]}, True),
        ({"encryptionAlgorithm": [SCHEME]}, True),
        ({"encryptionScheme": []}, True),
        ({"encryptionScheme": SCHEME}, True),
        ({"encryptionScheme": ["rot13"]}, False),
        ({"encryptionScheme": [SCHEME.upper()]}, False),
        ({"encryptionScheme": ["rot13"] * 100 + [SCHEME]}, True),
        ({"encryptionScheme": ["x" * 50_000]}, False),
    ],
    ids=lambda value: repr(sorted(value)) if isinstance(value, set | frozenset) else str(value)[:60],
)
def test_whether_our_encryption_is_listed(announced: dict[str, Any], ours: bool) -> None:
    assert read_extension(announced).takes_default_scheme is ours


def test_a_long_list_of_schemes_is_not_kept_whole() -> None:
    schemes = read_extension({"encryptionScheme": [f"{number}" * 1000 for number in range(5000)]}).schemes
    assert len(schemes) == MAX_SCHEMES
    assert {len(each) for each in schemes} == {MAX_SCHEME}


@pytest.mark.parametrize(
    ("limit", "read"),
    [(0, 0), (10, 10), (1e6, 1_000_000), (None, None), (-1, None), (1.5, None), (True, None), ("10", None), ([], None)],
)
def test_limits_are_whole_numbers(limit: Any, read: int | None) -> None:
    assert read_extension({"maxAttachmentBytes": limit}).max_attachment_bytes == read
    # An envelope of no bytes cannot be: a size limit of 0 is none.
    assert ServiceProperties.from_json({"sizeLimit": limit}).size_limit == (read or None)


@pytest.mark.parametrize("nothing", [None, [], "x", 7, {}])
def test_properties_that_cannot_be_read_bind_nobody(nothing: Any) -> None:
    assert ServiceProperties.from_json(nothing) == ServiceProperties()


@given(st.dictionaries(FIELDS, json_like))
def test_no_announcement_stops_a_sender_by_being_strange(value: dict[str, Any]) -> None:
    extension = read_extension(value)
    assert NEW in extension.types
    assert extension.schemes
    assert extension.max_attachment_bytes is None or extension.max_attachment_bytes >= 0
