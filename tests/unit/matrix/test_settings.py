"""The table [adapters.matrix]: who may do what, and what is refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.matrix.registration import registration
from adapters.matrix.settings import MatrixSettings, Permission

BASE: dict[str, Any] = {
    "homeserver_url": "http://127.0.0.1:8008/",
    "server_name": "example.org",
    "as_token_file": Path("as"),
    "hs_token_file": Path("hs"),
}


def settings(**changes: object) -> MatrixSettings:
    return MatrixSettings(**{**BASE, **changes})


@pytest.mark.parametrize(
    ("table", "who", "permission"),
    [
        ({}, "@bob:example.org", Permission.USER),
        ({}, "@bob:other.org", Permission.NONE),
        ({"*": "user"}, "@bob:other.org", Permission.USER),
        ({"*": "user", "other.org": "none"}, "@bob:other.org", Permission.NONE),
        ({"other.org": "none", "@bob:other.org": "admin"}, "@bob:other.org", Permission.ADMIN),
        ({"example.org": "user"}, "@bob:example.org.evil", Permission.NONE),
        ({"example.org:8448": "user"}, "@bob:example.org:8448", Permission.USER),
    ],
)
def test_the_nearest_entry_counts(table: dict[str, str], who: str, permission: Permission) -> None:
    assert settings(permissions=table).permission_of(who) is permission


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"homeserver_url": "matrix.org"}, "must be a web address"),
        ({"server_name": "not a name"}, "must be the name of a homeserver"),
        ({"bot": "DM3"}, "must be the local part"),
        ({"bot": "dm3_bot"}, "must not begin with"),
        ({"permissions": {"*": "god"}}, '"none", "user" or "admin"'),
        ({"permissions": {"*": 2}}, '"none", "user" or "admin"'),
        ({"permissions": {"@bob": "user"}}, "or a person such as"),
        ({"ignored_users": ["("]}, "must be a regular expression"),
        ({"messages_per_minute": 0}, "greater than or equal to 1"),
        ({"unknown": 1}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        settings(**changes)


def test_the_registration_holds_what_a_homeserver_needs() -> None:
    text = registration(settings(), url="https://gw.example", as_token="a" * 20, hs_token="h" * 20)
    assert "rate_limited: false" in text
    assert "receive_ephemeral: true" in text
    assert "protocols: [dm3]" in text
    assert 'regex: "@(dm3_|dm3room_).*:example\\\\.org"' in text
    assert "msc3202" not in text
    encrypted = registration(settings(encryption=True), url="https://gw.example", as_token="a" * 20, hs_token="h" * 20)
    assert "io.element.msc4190: true" in encrypted
