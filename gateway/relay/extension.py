"""What a recipient tells its senders before they write (DM3-MTP, dm3_getProfileExtension)."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.dm3.canonical import Json, JsonObject
from gateway.dm3.encryption import SCHEME
from gateway.dm3.message import MessageType
from gateway.dm3.sender_rules import SenderRules
from gateway.errors import UnknownRecipient
from gateway.ids import EnsName, Network
from gateway.relay.recipients import Recipients
from gateway.relay.rulebook import Rulebook
from gateway.sdk.capabilities import Capabilities
from gateway.store.identities import Identity

ALL_TYPES: tuple[str, ...] = tuple(sorted(kind.value for kind in MessageType))


class ProfileExtensions:
    """Answers for this relay's recipients."""

    def __init__(
        self, *, recipients: Recipients, rulebook: Rulebook, capabilities: Mapping[Network, Capabilities], uniform: bool
    ) -> None:
        """`uniform`: a name that does not receive here is answered like one that does and asks for nothing."""
        self._uniform = uniform
        self._recipients = recipients
        self._rulebook = rulebook
        self._capabilities = capabilities

    async def of(self, name: EnsName) -> JsonObject:
        """The extension of one recipient; UnknownRecipient for a name that does not receive here.

        `spamFilterRules` tells what is asked of senders (see gateway.dm3.sender_rules). `trust`, `endToEnd` and
        `network` go beyond the specification: a sender can tell its user that the gateway reads along, before
        anything is written.
        """
        try:
            identity, rules = await self._recipient(name)
        except UnknownRecipient:
            if not self._uniform:
                raise
            identity, rules = None, SenderRules()
        bridged = identity is not None
        kinds: list[Json] = list(ALL_TYPES)
        extension: JsonObject = {
            "encryptionScheme": [SCHEME],
            "encryptionAlgorithm": [SCHEME],
            "notSupportedMessageTypes": [],
            "supportedMessageTypes": kinds,
            "endToEnd": not bridged,
        }
        if published := rules.to_json():
            extension["spamFilterRules"] = published
        if identity is not None:
            extension["network"] = identity.network
            extension["trust"] = identity.level
            known = self._capabilities.get(identity.network)
            if known is not None:
                extension["maxAttachmentBytes"] = known.max_attachment_bytes
        return extension

    async def _recipient(self, name: EnsName) -> tuple[Identity | None, SenderRules]:
        recipient = await self._recipients.find(name)
        decisions = await self._rulebook.of(recipient.address)
        if decisions.closed and recipient.identity is None:
            raise UnknownRecipient(f"{name} closed the account here")
        return recipient.identity, decisions.rules.public
