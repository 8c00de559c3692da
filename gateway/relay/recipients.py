"""Who may receive mail at this relay: bridged people of ours, and everybody whose profile names us."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.custody.directory import Directory
from gateway.errors import UnknownName, UnknownRecipient
from gateway.ids import EnsName, EthAddress
from gateway.store.identities import Identity


@dataclass(frozen=True, slots=True)
class Recipient:
    """A mailbox of this relay. Mailboxes are kept by address, so all names of one owner share one."""

    name: EnsName
    address: EthAddress
    encryption_key: bytes
    identity: Identity | None
    """Set for a bridged person: the envelope is for an adapter, not for pick-up."""


class Recipients:
    """Finds the mailbox of a name."""

    def __init__(self, directory: Directory, service_name: EnsName) -> None:
        self._directory = directory
        self._service_name = service_name

    async def find(self, name: EnsName) -> Recipient:
        """The mailbox of `name`; UnknownRecipient when its profile does not name this relay.

        Raises BadProfile, ChainUnavailable and the fetch errors of the profile as they come.
        """
        identity = await self._directory.identity(name)
        try:
            profile = await self._directory.user(name)
            if not profile.uses(self._service_name):
                profile = await self._directory.user(name, fresh=True)
        except UnknownName as error:
            raise UnknownRecipient(f"{name} has no DM3 profile") from error
        if not profile.uses(self._service_name):
            return await self._moved(name)
        # The mailbox of a bridged person is the same whichever of their names is written.
        address = profile.address if identity is None else identity.address
        return Recipient(name, address, profile.profile.public_encryption_key, identity)

    async def _moved(self, name: EnsName) -> Recipient:
        identity = await self._directory.moved(name)
        if identity is None:
            raise UnknownRecipient(f"the profile of {name} does not name {self._service_name}")
        before = await self._directory.user(identity.name)
        return Recipient(name, identity.address, before.profile.public_encryption_key, identity)
