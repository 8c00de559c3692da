"""A native DM3 client: keys from a wallet, messages to and from its own delivery services, nothing bridged.

The demo's people use it, and so does whoever wants to know whether a relay works from the outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import httpx2
import structlog

from gateway.dm3.auth import sign_challenge
from gateway.dm3.canonical import Json, parse_json, stringify
from gateway.dm3.encryption import decrypt
from gateway.dm3.envelope import (
    DeliveryInformation,
    canonical_envelope,
    envelope_hashes,
    parse_envelope,
    seal,
)
from gateway.dm3.eth import address_of, sign_text
from gateway.dm3.keys import ProfileKeys, storage_key_from_signature, storage_key_text
from gateway.dm3.message import (
    Attachment,
    Message,
    MessageType,
    message_hash,
    parse_message,
    sign_message,
    verify_message,
)
from gateway.dm3.postmark import Postmark, open_postmark, verify_postmark
from gateway.dm3.profile import DeliveryServiceProfile, SignedProfile, UserProfile, sign_profile
from gateway.ens.names import normalise
from gateway.ens.profiles import Profiles
from gateway.errors import BadSignature, FetchFailed, GatewayError, InvalidInput, RemoteRefused, UnknownName
from gateway.ids import EnsName, EthAddress, MessageHash
from gateway.lifecycle import Clock, now_ms

log = structlog.get_logger(__name__)

MAX_ANSWER: Final = 256 * 2**20
TIMEOUT_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that a delivery service of the recipient keeps."""

    message: Message
    message_hash: MessageHash
    service: EnsName


@dataclass(frozen=True, slots=True)
class Received:
    """A message picked up, decrypted and checked."""

    message: Message
    message_hash: MessageHash
    sender: EnsName
    postmark: Postmark
    verified: bool
    """The sender's profile signed the message and the service its postmark."""


class Dm3Client:
    """One person with a wallet. `service` is the delivery service that the person's profile names."""

    def __init__(
        self,
        *,
        name: EnsName,
        wallet: bytes,
        profiles: Profiles,
        http: httpx2.AsyncClient,
        service: EnsName,
        clock: Clock = now_ms,
    ) -> None:
        self.name = name
        self.address: EthAddress = address_of(wallet)
        self.service = service
        self._wallet = wallet
        self._profiles = profiles
        self._http = http
        self._clock = clock
        self._keys = ProfileKeys.from_storage_key(
            storage_key_from_signature(sign_text(wallet, storage_key_text(self.address)))
        )
        self._token: str | None = None

    def signed_profile(self) -> SignedProfile:
        """What belongs, as a data URI, into the name's record network.dm3.profile."""
        keys = self._keys
        profile = UserProfile(keys.encryption.public, keys.signing.public, (self.service,))
        return sign_profile(profile, self._wallet)

    async def send(
        self,
        to: EnsName,
        text: str,
        *,
        kind: MessageType = MessageType.NEW,
        reference: MessageHash | None = None,
        attachments: tuple[Attachment, ...] | None = None,
        sender: EnsName | None = None,
    ) -> Sent:
        """Sign, seal and submit to the first service of the recipient that takes it; raises what the last one said.

        `sender` is another name of the same wallet, when the message is to come from that one.
        """
        recipient = await self._profiles.user(to)
        draft = Message(
            to=to,
            from_=sender or self.name,
            type=kind,
            timestamp=self._clock(),
            text=text,
            attachments=attachments,
            reference=reference,
        )
        message = sign_message(draft, self._keys.signing)
        failure: GatewayError = UnknownName(f"{to} names no delivery service")
        for service_name in map(normalise, recipient.profile.delivery_services):
            try:
                service = await self._profiles.delivery_service(service_name)
                envelope = seal(
                    message, recipient.profile.public_encryption_key, service.public_encryption_key, self._keys.signing
                )
                await self._submit(service, canonical_envelope(envelope))
                return Sent(message, message_hash(message), service_name)
            except GatewayError as error:
                failure = error
        raise failure

    async def fetch(self) -> list[Received]:
        """Everything readable that waits at our service, oldest first; logs in when needed.

        What cannot be read is acknowledged: a stranger's junk must not stand in the way of mail.
        """
        service = await self._profiles.delivery_service(self.service)
        answer = await self._authorised("GET", f"{service.url}/delivery/messages/incoming/{self.name}")
        bodies = parse_json(answer.content, max_bytes=MAX_ANSWER)
        if not isinstance(bodies, list):
            raise InvalidInput("the delivery service did not answer with a list")
        received: list[Received] = []
        for body in bodies:
            try:
                received.append(await self._open(body, service))
            except GatewayError as error:
                if error.retry:
                    raise
                log.info("client.unreadable", name=self.name, detail=error.detail)
                await self._discard(body)
        return sorted(received, key=lambda each: each.postmark.incoming_timestamp)

    async def acknowledge(self, *received: Received) -> None:
        """Tell our service that it may delete these."""
        await self._acknowledge([(each.sender, each.message_hash) for each in received])

    async def _discard(self, body: Json) -> None:
        """Acknowledge an envelope by its outside."""
        if isinstance(body, dict):
            information = parse_envelope(body).metadata.delivery_information
            if isinstance(information, DeliveryInformation):
                await self._acknowledge([(information.from_, envelope_hashes(parse_envelope(body))[0])])

    async def _acknowledge(self, pairs: list[tuple[str, str]]) -> None:
        service = await self._profiles.delivery_service(self.service)
        entries: list[Json] = [{"contactAddress": sender, "messageHash": digest} for sender, digest in pairs]
        url = f"{service.url}/delivery/messages/{self.name}/syncAcknowledgements/"
        await self._authorised("POST", url, {"acknowledgements": entries})

    async def log_in(self) -> None:
        """Prove our signing key; raises BadSignature when the service does not accept it."""
        service = await self._profiles.delivery_service(self.service)
        url = f"{service.url}/auth/{self.name}"
        challenge = self._json(await self._request("GET", url))
        if not isinstance(challenge, str):
            raise InvalidInput("the delivery service gave no challenge")
        signature = sign_challenge(self._keys.signing, challenge)
        answer = await self._request("POST", url, {"challenge": challenge, "signature": signature})
        token = self._json(answer)
        if answer.status_code != 200 or not isinstance(token, str):
            raise BadSignature(f"log-in refused: {answer.text[:200]}")
        self._token = token

    async def _open(self, body: Json, service: DeliveryServiceProfile) -> Received:
        if not isinstance(body, dict):
            raise InvalidInput("an envelope is an object")
        envelope = parse_envelope(body)
        message = parse_message(decrypt(self._keys.encryption, envelope.message))
        postmark = open_postmark(self._keys.encryption, envelope.postmark or "")
        sender = normalise(message.from_)
        profile = await self._profiles.user(sender)
        verified = verify_message(message, profile.profile.public_signing_key) and verify_postmark(
            postmark, envelope, service.public_signing_key
        )
        return Received(message, envelope_hashes(envelope)[0], sender, postmark, verified)

    async def _submit(self, service: DeliveryServiceProfile, envelope: str) -> None:
        call: Json = {"jsonrpc": "2.0", "id": 1, "method": "dm3_submitMessage", "params": [envelope]}
        answer = await self._request("POST", f"{service.url}/rpc", call)
        if answer.status_code != 200:
            raise RemoteRefused(f"{answer.status_code}: {answer.text[:300]}")

    async def _authorised(self, method: str, url: str, body: Json = None) -> httpx2.Response:
        if self._token is None:
            await self.log_in()
        answer = await self._request(method, url, body)
        if answer.status_code == 401:
            await self.log_in()
            answer = await self._request(method, url, body)
        if answer.status_code != 200:
            raise RemoteRefused(f"{answer.status_code}: {answer.text[:300]}")
        return answer

    async def _request(self, method: str, url: str, body: Json = None) -> httpx2.Response:
        headers = {"content-type": "application/json"} if body is not None else {}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token}"
        content = stringify(body).encode() if body is not None else None
        try:
            return await self._http.request(method, url, content=content, headers=headers, timeout=TIMEOUT_SECONDS)
        except httpx2.HTTPError as error:
            raise FetchFailed(f"{method} {url}: {type(error).__name__}") from error

    @staticmethod
    def _json(answer: httpx2.Response) -> Json:
        return parse_json(answer.content, max_bytes=64 * 1024)
