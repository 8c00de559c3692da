"""What a recipient tells its senders before they write (DM3-MTP, dm3_getProfileExtension)."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.custody.directory import Directory
from gateway.dm3.canonical import Json, JsonObject
from gateway.dm3.encryption import SCHEME
from gateway.dm3.message import MessageType
from gateway.ids import EnsName, Network
from gateway.relay.recipients import Recipients
from gateway.sdk.capabilities import Capabilities

ALL_TYPES: tuple[str, ...] = tuple(sorted(kind.value for kind in MessageType))


class ProfileExtensions:
    """Answers for this relay's recipients."""

    def __init__(
        self, *, directory: Directory, recipients: Recipients, capabilities: Mapping[Network, Capabilities]
    ) -> None:
        self._directory = directory
        self._recipients = recipients
        self._capabilities = capabilities

    async def of(self, name: EnsName) -> JsonObject:
        """The extension of one recipient; UnknownRecipient for a name that does not receive here.

        `trust`, `endToEnd` and `network` go beyond the specification: a sender can tell its user that the gateway
        reads along, before anything is written.
        """
        recipient = await self._recipients.find(name)
        identity = recipient.identity
        bridged = identity is not None
        kinds: list[Json] = list(ALL_TYPES)
        extension: JsonObject = {
            "encryptionScheme": [SCHEME],
            "encryptionAlgorithm": [SCHEME],
            "notSupportedMessageTypes": [],
            "supportedMessageTypes": kinds,
            "endToEnd": not bridged,
        }
        if identity is not None:
            extension["network"] = identity.network
            extension["trust"] = identity.level
            known = self._capabilities.get(identity.network)
            if known is not None:
                extension["maxAttachmentBytes"] = known.max_attachment_bytes
        return extension
