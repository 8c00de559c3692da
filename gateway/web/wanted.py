"""What somebody typed who wants a name: its normal form, whether it can be had, what it can be taken for."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.dm3.eth import checksum
from gateway.ens.names import normalise
from gateway.errors import GatewayError, InvalidName, NameRefused, NotFound
from gateway.ids import EnsName, EthAddress
from gateway.subnames.labels import label_of
from gateway.subnames.registrar import Registrar
from gateway.subnames.signing_in import ascii_name
from gateway.subnames.skeleton import letters


@dataclass(frozen=True, slots=True)
class Wanted:
    """``name`` is None for what cannot be a name; ``reason`` says why it, or why the name cannot be had."""

    typed: str
    name: EnsName | None = None
    ascii: str = ""
    label: str = ""
    available: bool = False
    owner: str | None = None
    """Who has it, checksummed."""
    reason: str = ""
    warnings: tuple[str, ...] = ()
    resembles: tuple[str, ...] = ()

    @property
    def folded(self) -> bool:
        """Whether ENS writes it differently from how it was typed."""
        return self.name is not None and self.typed not in (self.label, self.name)


async def wanted_name(registrar: Registrar, parent: EnsName, typed: str, owner: EthAddress | None) -> Wanted:
    """Look it up; ``typed`` is a label or a whole name in any spelling."""
    typed = typed.strip()
    try:
        name = full_name(typed, parent)
        label = label_of(name, parent)
        found = await registrar.availability(name, parent, owner)
    except (InvalidName, NameRefused) as error:
        return Wanted(typed, reason=error.detail)
    return Wanted(
        typed,
        name,
        ascii=ascii_name(name),
        label=label,
        available=found.free,
        owner=None if found.free else await _owner(registrar, name),
        reason=found.reason,
        warnings=found.warnings,
        resembles=tuple(found.resembles) or looks_like(label),
    )


async def _owner(registrar: Registrar, name: EnsName) -> str | None:
    try:
        owner = (await registrar.named(name)).owner
    except NotFound:
        return None
    return None if owner is None else checksum(owner)


def full_name(typed: str, parent: EnsName) -> EnsName:
    """The normal form of a name; what does not end in the parent is meant to stand below it. Raises InvalidName."""
    try:
        normal = normalise(typed)
    except GatewayError as error:
        raise InvalidName(error.detail) from None
    return normal if normal == parent or normal.endswith(f".{parent}") else normalise(f"{normal}.{parent}")


def looks_like(label: str) -> tuple[str, ...]:
    """What a label beyond ASCII reads like to somebody who sees only a to z."""
    plain = letters(label)
    return (plain,) if not label.isascii() and plain.isascii() and plain != label else ()
