"""Envelopes as a sender makes them, right ones and wrong ones."""

from __future__ import annotations

from dataclasses import replace

from gateway.dm3.envelope import Dialect, Envelope, seal
from gateway.dm3.eth import sign_text
from gateway.dm3.keys import KeyPair, ProfileKeys, signing_pair, storage_key_from_signature, storage_key_text
from gateway.dm3.message import Message, MessageType, sign_message
from gateway.ids import EnsName
from gateway.operations.dm3_client import Dm3Client
from tests.support.house import House


def keys_of(house: House, account: str) -> ProfileKeys:
    """Profile keys of one of the chain's accounts."""
    person = house.chain.accounts[account]
    return ProfileKeys.from_storage_key(
        storage_key_from_signature(sign_text(person.key, storage_key_text(person.address)))
    )


def sealed(
    house: House,
    sender: Dm3Client,
    recipient: Dm3Client,
    *,
    account: str = "alice",
    text: str = "hello",
    to: EnsName | None = None,
    from_: EnsName | None = None,
    dialect: Dialect = Dialect.DEVELOP,
    signing: KeyPair | None = None,
    service_key: bytes | None = None,
) -> Envelope:
    """An envelope from `sender`, whose wallet is `account`, to `recipient`; each part can be made wrong."""
    keys = keys_of(house, account)
    draft = Message(
        to=to or recipient.name,
        from_=from_ or sender.name,
        type=MessageType.NEW,
        timestamp=1_727_000_000_123,
        text=text,
    )
    return seal(
        sign_message(draft, keys.signing),
        recipient.signed_profile().profile.public_encryption_key,
        service_key or house.gateway.service_profile.public_encryption_key,
        signing or keys.signing,
        dialect=dialect,
    )


def with_another_signer(keys: ProfileKeys) -> ProfileKeys:
    """The same keys with a signing pair that no profile holds."""
    return replace(keys, signing=signing_pair())
