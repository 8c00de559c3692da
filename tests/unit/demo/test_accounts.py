"""Named accounts: the same everywhere, distinct, and silent about their keys."""

from __future__ import annotations

import pytest

from gateway.demo.chain.accounts import ACCOUNT_NAMES, account, accounts
from gateway.dm3.eth import address_of


def test_accounts_are_the_same_on_every_machine() -> None:
    assert account("root").address == "0x0f9a86a5b6b909c108f45da1316150e882fa6d35"


def test_accounts_differ() -> None:
    assert len({entry.address for entry in accounts().values()}) == len(ACCOUNT_NAMES)


def test_address_belongs_to_key() -> None:
    assert all(address_of(entry.key) == entry.address for entry in accounts().values())


def test_key_is_not_in_the_repr() -> None:
    alice = account("alice")
    assert alice.key.hex() not in repr(alice)
    assert repr(alice.key) not in repr(alice)


def test_accounts_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        accounts()["mallory"] = account("mallory")  # type: ignore[index]
