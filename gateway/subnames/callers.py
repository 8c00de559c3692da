"""Who asks for something to be done with names: a wallet, a program with a key, or the operator."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.errors import NotAllowed
from gateway.ids import EnsName, EthAddress


class Scope(StrEnum):
    """What a key may do below its parent."""

    READ = "names:read"
    """See names with their owners and records, listed or not."""
    WRITE = "names:write"
    """Change records and terms."""
    CLAIM = "names:claim"
    """Issue names to owners that the program names."""
    DELETE = "names:delete"
    """Release names."""
    ADMIN = "names:admin"
    """Look after admins, keys, webhooks and reservations."""


EVERYTHING: Final = frozenset(Scope)


class CallerKind(StrEnum):
    """How somebody showed who they are."""

    WALLET = "wallet"
    KEY = "key"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Caller:
    """``id`` is the wallet's address or the key's id, ``parent`` the one that the scopes are for.

    A wallet may do what its names and its rights as an admin let it, which is not for this value to say; the operator
    may do everything below every parent.
    """

    kind: CallerKind
    id: str
    parent: EnsName | None = None
    scopes: frozenset[Scope] = frozenset()

    @classmethod
    def wallet(cls, address: EthAddress) -> Caller:
        """Somebody who signed with a wallet."""
        return cls(CallerKind.WALLET, address)

    @classmethod
    def admin(cls, address: EthAddress, parent: EnsName) -> Caller:
        """A wallet that looks after ``parent``."""
        return cls(CallerKind.WALLET, address, parent, EVERYTHING)

    @classmethod
    def operator(cls) -> Caller:
        """Whoever runs this gateway."""
        return cls(CallerKind.OPERATOR, "operator", None, EVERYTHING)

    @property
    def actor(self) -> str:
        """As the audit log names them; unique among all callers."""
        return f"key:{self.id}" if self.kind is CallerKind.KEY else self.id

    def may(self, scope: Scope, parent: EnsName) -> bool:
        """Whether this caller has ``scope`` for names that are issued below ``parent``."""
        return scope in self.scopes and (self.kind is CallerKind.OPERATOR or self.parent == parent)

    def require(self, scope: Scope, parent: EnsName) -> None:
        """Raises NotAllowed unless the caller has ``scope`` for ``parent``, in the same words for either reason."""
        if not self.may(scope, parent):
            raise NotAllowed(f"this needs a key for {parent} with the scope {scope}")


def scopes_of(texts: tuple[str, ...]) -> frozenset[Scope]:
    """The scopes that this version knows; what a newer one wrote gives no right here."""
    known = {scope.value for scope in Scope}
    return frozenset(Scope(text) for text in texts if text in known)
