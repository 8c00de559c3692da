"""Profile extensions of other services, in the forms in which they occur and in those in which they should not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.canonical import Json, JsonObject
from gateway.dm3.encryption import SCHEME
from gateway.dm3.extension import ProfileExtension
from gateway.dm3.message import MessageType
from gateway.dm3.sender_rules import SenderRules
from gateway.errors import InvalidInput
from tests.unit.dm3.test_sender_rules import hostile, json_values, sender_rules

ALL = frozenset(MessageType)
NEW = MessageType.NEW


def read(**fields: Json) -> ProfileExtension:
    return ProfileExtension.from_json(dict(fields))


def test_a_service_that_says_nothing_takes_everything() -> None:
    assert ProfileExtension.from_json({}) == ProfileExtension()
    assert ProfileExtension().types == ALL
    assert ProfileExtension().takes_default_scheme
    assert ProfileExtension().rules == SenderRules()
    assert ProfileExtension().max_attachment_bytes is None
    assert ProfileExtension().end_to_end is None


def test_the_references_constant_answer_refuses_nothing() -> None:
    """It lists NEW as not supported, which DM3-MTP does not allow."""
    assert read(notSupportedMessageTypes=["NEW"]).types == ALL


@pytest.mark.parametrize(
    ("fields", "types"),
    [
        ({"supportedMessageTypes": ["NEW", "EDIT"]}, {NEW, MessageType.EDIT}),
        ({"supportedMesssageTypes": ["EDIT"]}, {NEW, MessageType.EDIT}),
        ({"supportedMessageTypes": ["EDIT"], "supportedMesssageTypes": ["REPLY"]}, {NEW, MessageType.EDIT}),
        ({"supportedMessageTypes": []}, {NEW}),
        ({"supportedMessageTypes": [], "supportedMesssageTypes": ["EDIT"]}, {NEW}),
        ({"supportedMessageTypes": ["SOMETHING_NEW"]}, {NEW}),
        (
            {"supportedMessageTypes": ["READ_RECEIPT"]},
            {NEW, MessageType.READ_OPENED, MessageType.READ_RECEIVED},
        ),
        ({"notSupportedMessageTypes": ["EDIT", "NEW", "UNKNOWN"]}, ALL - {MessageType.EDIT}),
        (
            {"supportedMessageTypes": ["EDIT", "REPLY"], "notSupportedMessageTypes": ["REPLY"]},
            {NEW, MessageType.EDIT},
        ),
        ({"notSupportedMessageTypes": ["READ_RECEIPT"]}, ALL - {MessageType.READ_OPENED, MessageType.READ_RECEIVED}),
        ({"supportedMessageTypes": None}, ALL),
        ({"supportedMessageTypes": "EDIT"}, ALL),
        ({"supportedMessageTypes": ["EDIT", 5]}, ALL),
        ({"supportedMessageTypes": {"EDIT": True}}, ALL),
        ({"notSupportedMessageTypes": ["EDIT", None]}, ALL),
    ],
)
def test_types(fields: JsonObject, types: frozenset[MessageType]) -> None:
    """A malformed list counts as absent; an empty one is a list, of nothing but NEW."""
    assert ProfileExtension.from_json(fields).types == types


@pytest.mark.parametrize(
    ("fields", "schemes"),
    [
        ({"encryptionScheme": ["x", SCHEME]}, ("x", SCHEME)),
        ({"encryptionAlgorithm": ["x"]}, ("x",)),
        ({"encryptionScheme": ["y"], "encryptionAlgorithm": ["x"]}, ("y",)),
        ({"encryptionScheme": []}, (SCHEME,)),
        ({"encryptionScheme": [], "encryptionAlgorithm": ["x"]}, ("x",)),
        ({"encryptionScheme": SCHEME}, (SCHEME,)),
        ({"encryptionScheme": [5]}, (SCHEME,)),
        ({"encryptionScheme": None}, (SCHEME,)),
    ],
)
def test_schemes(fields: JsonObject, schemes: tuple[str, ...]) -> None:
    extension = ProfileExtension.from_json(fields)
    assert extension.schemes == schemes
    assert extension.takes_default_scheme is (SCHEME in schemes)


@pytest.mark.parametrize(
    ("value", "limit"),
    [(0, 0), (5, 5), (2**60, 2**60), (-1, None), (True, None), (5.5, None), ("5", None), (None, None), ([], None)],
)
def test_the_limit_of_attachments(value: Json, limit: int | None) -> None:
    assert read(maxAttachmentBytes=value).max_attachment_bytes == limit


@pytest.mark.parametrize(("value", "known"), [(True, True), (False, False), (None, None), (0, None), ("false", None)])
def test_whether_somebody_reads_along(value: Json, known: bool | None) -> None:
    assert read(endToEnd=value).end_to_end is known


@given(sender_rules)
def test_rules_are_read_as_they_are_published(rules: SenderRules) -> None:
    assert read(spamFilterRules=rules.to_json()).rules == rules


def test_no_rules() -> None:
    assert read(spamFilterRules=None).rules == SenderRules()


@pytest.mark.parametrize("rules", [5, "x", [], True, {"minBalance": "much"}, {"minStake": {"amount": "1"}}])
def test_rules_that_cannot_be_read_are_not_taken_for_none(rules: Json) -> None:
    with pytest.raises(InvalidInput):
        read(spamFilterRules=rules)


@pytest.mark.parametrize("value", [None, True, 5, "{}", [], [{}]])
def test_an_extension_is_an_object(value: Json) -> None:
    with pytest.raises(InvalidInput, match="not an object"):
        ProfileExtension.from_json(value)


FIELDS = [
    "supportedMessageTypes",
    "supportedMesssageTypes",
    "notSupportedMessageTypes",
    "encryptionScheme",
    "encryptionAlgorithm",
    "maxAttachmentBytes",
    "endToEnd",
]


@given(
    json_values | st.fixed_dictionaries({}, optional={"spamFilterRules": hostile, **dict.fromkeys(FIELDS, json_values)})
)
def test_whatever_comes_is_read_or_refused_by_name(value: Json) -> None:
    try:
        extension = ProfileExtension.from_json(value)
    except InvalidInput:
        return
    assert NEW in extension.types
    assert extension.schemes
    assert extension.max_attachment_bytes is None or extension.max_attachment_bytes >= 0
