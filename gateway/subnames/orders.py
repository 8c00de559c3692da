"""What the owner of a name may order by a signature of their wallet (EIP-712), and what becomes of the name.

An order is for one name, carries the name's present ``sequence`` as its nonce and the second after which it is void,
and names the parent in its domain; so none works twice, later, elsewhere or for another name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from gateway.dm3.canonical import Json
from gateway.dm3.data_uri import parse_data_uri
from gateway.dm3.eth import address_bytes, address_from_bytes, checksum, parse_address
from gateway.dm3.typed_data import Fields, TypedData
from gateway.dm3.user_profile import MAX_PROFILE_BYTES, parse_signed_profile, verify_profile
from gateway.errors import BadProfile, InvalidInput
from gateway.ids import EnsName, EthAddress
from gateway.store.names import NameRow
from gateway.subnames.records import EVM_BIT, with_records, without_records

VERSION: Final = "1"
LIFE_SECONDS: Final = 600
"""What we propose for an order's life."""
LONGEST_SECONDS: Final = 3_600
"""An order that claims a longer life is refused."""
DM3_PROFILE: Final = "network.dm3.profile"
"""Text record with the owner's signed DM3 profile (DM3-MTP)."""


class Action(StrEnum):
    """What is ordered."""

    RECORDS = "records"
    TRANSFER = "transfer"
    RELEASE = "release"
    RENEW = "renew"
    LIST = "list"
    UNLINK = "unlink"


_TAIL: Final[Fields] = (("nonce", "uint256"), ("expires", "uint256"))
_STRUCTS: Final[Mapping[Action, tuple[str, Fields]]] = {
    Action.RECORDS: ("ChangeRecords", (("name", "string"), ("records", "Record[]"), *_TAIL)),
    Action.TRANSFER: ("TransferName", (("name", "string"), ("to", "address"), *_TAIL)),
    Action.RELEASE: ("ReleaseName", (("name", "string"), *_TAIL)),
    Action.RENEW: ("RenewName", (("name", "string"), *_TAIL)),
    Action.LIST: ("ListName", (("name", "string"), ("listed", "bool"), *_TAIL)),
    Action.UNLINK: ("UnlinkName", (("name", "string"), *_TAIL)),
}
_RECORD: Final[Fields] = (("key", "string"), ("value", "string"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order; ``records`` are lines (see ``records``), ``to`` is the next owner, ``expires`` in seconds."""

    action: Action
    name: EnsName
    sequence: int
    expires: int
    records: Mapping[str, str] = field(default_factory=dict)
    to: EthAddress | None = None
    listed: bool = False

    def typed_data(self, parent: EnsName, chain_id: int) -> TypedData:
        """What the wallet signs."""
        struct, fields = _STRUCTS[self.action]
        types = {struct: fields, "Record": _RECORD} if self.action is Action.RECORDS else {struct: fields}
        message: dict[str, Any] = {"name": self.name, "nonce": self.sequence, "expires": self.expires}
        match self.action:
            case Action.RECORDS:
                message["records"] = [{"key": key, "value": value} for key, value in self.records.items()]
            case Action.TRANSFER:
                assert self.to is not None
                message["to"] = checksum(self.to)
            case Action.LIST:
                message["listed"] = self.listed
        return TypedData(f"Names of {parent}", VERSION, chain_id, types, struct, message)


def read_order(value: Json, name: EnsName, *, sequence: int | None = None, expires: int | None = None) -> Order:
    """An order for ``name`` from JSON; ``sequence`` and ``expires`` stand in for what it does not say.

    Raises InvalidInput.
    """
    if not isinstance(value, dict):
        raise InvalidInput("an order is an object")
    try:
        action = Action(value.get("action"))  # type: ignore[arg-type]
    except ValueError:
        raise InvalidInput(f"action must be one of {', '.join(Action)}") from None
    return Order(
        action=action,
        name=name,
        sequence=_whole(value.get("nonce", sequence), "nonce"),
        expires=_whole(value.get("expires", expires), "expires"),
        records=_records(value.get("records")) if action is Action.RECORDS else {},
        to=_address(value.get("to")) if action is Action.TRANSFER else None,
        listed=_flag(value.get("listed")) if action is Action.LIST else False,
    )


def order_json(order: Order) -> dict[str, Any]:
    """The form that ``read_order`` reads."""
    value: dict[str, Any] = {"action": order.action, "nonce": order.sequence, "expires": order.expires}
    match order.action:
        case Action.RECORDS:
            value["records"] = dict(order.records)
        case Action.TRANSFER:
            assert order.to is not None
            value["to"] = checksum(order.to)
        case Action.LIST:
            value["listed"] = order.listed
    return value


def carried_out(row: NameRow, order: Order, now: int, renewed_until: int | None) -> NameRow:
    """The name after an order; ``renewed_until`` is the end of a term that begins now (ms), None for ever.

    Raises InvalidInput for records that cannot be.
    """
    row = replace(row, updated_at=now)
    match order.action:
        case Action.RECORDS:
            changed = with_records(row, order.records)
            # A profile is believed because the name's address signed it.
            void = changed.address != row.address and _same_profile(row, changed)
            return without_profile(changed) if void else changed
        case Action.TRANSFER:
            assert order.to is not None
            return transferred(row, order.to)
        case Action.RELEASE:
            return released(row, now)
        case Action.RENEW:
            return renewed(row, renewed_until)
        case Action.LIST:
            return replace(row, listed=order.listed)
        case Action.UNLINK:
            return without_profile(row)


def transferred(row: NameRow, to: EthAddress) -> NameRow:
    """The name in other hands: addresses of the old owner become those of the new one, the rest of the records stays.

    Only the profile goes: it is signed by the old owner, so nobody would believe it any more.
    """
    row = without_profile(row)
    old, new = None if row.owner is None else address_bytes(row.owner), address_bytes(to)
    coins = {coin: new if coin >= EVM_BIT and address == old else address for coin, address in row.coins.items()}
    address = new if row.address == old else row.address
    return replace(row, owner=to, address=address, coins=coins, listed=False)


def released(row: NameRow, now: int) -> NameRow:
    """Nobody's name; the last owner stays known, because they alone may have it back before it has rested."""
    return replace(without_records(row), released_at=now, listed=False, expires_at=None, updated_at=now)


def renewed(row: NameRow, until: int | None) -> NameRow:
    """With a term that ends at ``until``, unless it ends later already."""
    if row.expires_at is None or until is None:
        return replace(row, expires_at=None, reminded=0)
    return replace(row, expires_at=max(row.expires_at, until), reminded=0)


def check_profile(row: NameRow) -> None:
    """Raises InvalidInput for a DM3 profile in the record itself that no client would believe."""
    record = row.texts.get(DM3_PROFILE, "")
    if not record.lower().startswith("data:"):
        return
    try:
        signed = parse_signed_profile(parse_data_uri(record, MAX_PROFILE_BYTES))
    except BadProfile as error:
        raise InvalidInput(f"record 'text:{DM3_PROFILE}': {error.detail}") from None
    if row.address is None or not verify_profile(signed, address_from_bytes(row.address)):
        raise InvalidInput(f"record 'text:{DM3_PROFILE}': the profile is not signed by the name's address")


def profile_text(row: NameRow) -> str:
    """The DM3 profile in the record itself, as JSON; empty when there is none."""
    try:
        return parse_data_uri(row.texts.get(DM3_PROFILE, ""), MAX_PROFILE_BYTES)
    except BadProfile:
        return ""


def _same_profile(row: NameRow, changed: NameRow) -> bool:
    return row.texts.get(DM3_PROFILE) == changed.texts.get(DM3_PROFILE)


def without_profile(row: NameRow) -> NameRow:
    """The name without a DM3 profile."""
    return replace(row, texts={key: text for key, text in row.texts.items() if key != DM3_PROFILE})


def _whole(value: Json, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise InvalidInput(f"{field} must be a whole number")
    return value


def _records(value: Json) -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        raise InvalidInput("records must be an object of texts and not empty")
    found: dict[str, str] = {}
    for key, each in value.items():
        if not isinstance(each, str):
            raise InvalidInput("records must be an object of texts and not empty")
        found[key] = each
    return found


def _address(value: Json) -> EthAddress:
    if not isinstance(value, str):
        raise InvalidInput("to must be an address")
    address = parse_address(value)
    if not int(address, 16):
        raise InvalidInput("a name cannot be given to the zero address; release it")
    return address


def _flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput("listed must be true or false")
    return value
