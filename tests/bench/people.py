"""Senders and recipients: wallets with profiles on the chain, and the envelopes that go between them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import httpx2

from gateway.demo.chain.accounts import account
from gateway.demo.chain.ens import EnsWorld
from gateway.demo.ground import PROFILE_KEY
from gateway.dm3.auth import sign_challenge
from gateway.dm3.data_uri import data_uri
from gateway.dm3.envelope import canonical_envelope, seal
from gateway.dm3.eth import sign_text
from gateway.dm3.keys import ProfileKeys, storage_key_from_signature, storage_key_text
from gateway.dm3.message import Message, MessageType, sign_message
from gateway.dm3.profile import DeliveryServiceProfile, SignedProfile, UserProfile, sign_profile
from gateway.ids import EnsName, EthAddress

FIRST_TIMESTAMP = 1_727_000_000_000
TEXT = "A message of about the length that people write when they have something to say. " * 15
"""With names, time and signature it fills most of one block of the padding: an envelope of 6 KB."""


class Addressee(Protocol):
    """Somebody to whom an envelope can be sealed."""

    @property
    def name(self) -> EnsName: ...

    @property
    def encryption_key(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Person:
    """A wallet, its name and its profile keys."""

    name: EnsName
    address: EthAddress
    wallet: bytes = field(repr=False)
    keys: ProfileKeys = field(repr=False)

    @classmethod
    def called(cls, label: str) -> Person:
        """Somebody of the local chain, the same on every machine."""
        owner = account(label)
        keys = ProfileKeys.from_storage_key(
            storage_key_from_signature(sign_text(owner.key, storage_key_text(owner.address)))
        )
        return cls(EnsName(f"{label}.eth"), owner.address, owner.key, keys)

    @property
    def encryption_key(self) -> bytes:
        """The public one."""
        return self.keys.encryption.public

    def signed_profile(self, service: EnsName) -> SignedProfile:
        """With one delivery service."""
        keys = self.keys
        return sign_profile(UserProfile(keys.encryption.public, keys.signing.public, (service,)), self.wallet)


def crowd(label: str, number: int) -> tuple[Person, ...]:
    """``number`` people called ``label``-0, ``label``-1, ..."""
    return tuple(Person.called(f"{label}-{index}") for index in range(number))


def publish(ens: EnsWorld, people: Iterable[Person], service: EnsName) -> None:
    """Register everybody's name, with address and profile. Blocks."""
    for person in people:
        ens.register(person.name, person.address)
        ens.set_addr(person.name, person.address)
        ens.set_text(person.name, PROFILE_KEY, data_uri(person.signed_profile(service).to_text()))


def submissions(
    senders: Sequence[Person], recipients: Sequence[Addressee], service: DeliveryServiceProfile, number: int, host: str
) -> list[bytes]:
    """HTTP requests that submit ``number`` different envelopes, from everybody to everybody in turn."""
    requests = []
    for index in range(number):
        sender = senders[index % len(senders)]
        recipient = recipients[(index // len(senders) + index) % len(recipients)]
        draft = Message(
            to=recipient.name,
            from_=sender.name,
            type=MessageType.NEW,
            timestamp=FIRST_TIMESTAMP + index,
            text=TEXT,
        )
        envelope = seal(
            sign_message(draft, sender.keys.signing),
            recipient.encryption_key,
            service.public_encryption_key,
            sender.keys.signing,
        )
        call = {"jsonrpc": "2.0", "id": index, "method": "dm3_submitMessage", "params": [canonical_envelope(envelope)]}
        requests.append(http_request("POST", "/ds/rpc", host, json.dumps(call, separators=(",", ":")).encode()))
    return requests


def http_request(method: str, path: str, host: str, body: bytes = b"", token: str | None = None) -> bytes:
    """An HTTP/1.1 request with the headers that a client of the reference sends."""
    head = [f"{method} {path} HTTP/1.1", f"host: {host}", "accept: application/json", "user-agent: bench"]
    if token is not None:
        head.append(f"authorization: Bearer {token}")
    if body:
        head += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


async def log_in(http: httpx2.AsyncClient, url: str, person: Person) -> str:
    """A bearer token."""
    challenge = (await http.get(f"{url}/ds/auth/{person.name}")).json()
    signature = sign_challenge(person.keys.signing, challenge)
    answer = await http.post(f"{url}/ds/auth/{person.name}", json={"challenge": challenge, "signature": signature})
    answer.raise_for_status()
    token = answer.json()
    assert isinstance(token, str)
    return token
