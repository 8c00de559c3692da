"""What the page of a name says: whose it is, how its messages travel, what was done to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.dm3.canonical import parse_json
from gateway.dm3.eth import checksum
from gateway.ids import EthAddress
from gateway.store.audit import LoggedEntry
from gateway.store.identities import Identity
from gateway.subnames.forms import NameOut
from gateway.subnames.orders import DM3_PROFILE
from gateway.subnames.signing_in import ascii_name
from gateway.web.records_view import RecordGroup, record_groups
from gateway.web.wording import network_name

MAX_DETAIL: Final = 128 * 2**10
NOT_PRIVATE: Final = "Bridged, not end-to-end: this gateway can read these messages."
_ACTIONS: Final[Mapping[str, str]] = {
    "name.claimed": "Claimed",
    "name.set": "Set by who runs the parent name",
    "name.changed": "Records changed",
    "name.transferred": "Given to another wallet",
    "name.renewed": "Renewed",
    "name.released": "Given up",
    "name.expiring": "Owner reminded that the term ends",
    "name.expired": "Term and grace ended",
    "name.linked": "Linked to a person of another network",
    "name.unlinked": "Link ended",
    "name.moved": "Moved to another delivery service",
    "name.listed": "Directory entry changed",
}


@dataclass(frozen=True, slots=True)
class Level:
    """How far a name is its owner's own; ``private`` says whether the gateway can read its messages."""

    word: str
    sentence: str
    caution: str = ""


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of the history."""

    at: int
    what: str
    actor: str
    more: str


@dataclass(frozen=True, slots=True)
class NameView:
    """All that is public of a name."""

    name: str
    ascii: str
    label: str
    parent: str
    level: Level
    owner: str | None
    address: str | None
    network: str | None
    display_name: str
    groups: tuple[RecordGroup, ...]
    listed: bool
    created_at: int
    expires_at: int | None
    grace_until: int | None


def view_of(name: NameOut) -> NameView:
    """A name that has a row of its own."""
    return NameView(
        name=name.name,
        ascii=name.ascii,
        label=name.name.removesuffix(f".{name.parent}"),
        parent=name.parent,
        level=_level(name),
        owner=name.owner,
        address=name.records.get("addr"),
        network=name.network,
        display_name="",
        groups=record_groups(name.records),
        listed=name.listed,
        created_at=name.created_at,
        expires_at=name.expires_at,
        grace_until=name.grace_until,
    )


def bridged_view(identity: Identity, parent: str) -> NameView:
    """A name that the gateway gave to somebody of another network.

    Whether they have linked a name of their own is theirs to tell, so it is not said here.
    """
    on = network_name(identity.network)
    return NameView(
        name=identity.name,
        ascii=ascii_name(identity.name),
        label=identity.name.removesuffix(f".{parent}"),
        parent=parent,
        level=Level(
            "bridged",
            f"This gateway gave this name to somebody on {on}, so that DM3 users can write to them."
            " The gateway keeps its keys.",
            NOT_PRIVATE,
        ),
        owner=None,
        address=checksum(identity.address),
        network=identity.network,
        display_name=identity.display_name,
        groups=(),
        listed=False,
        created_at=identity.created_at,
        expires_at=None,
        grace_until=None,
    )


def history_of(entries: Sequence[LoggedEntry]) -> tuple[Happened, ...]:
    """The entries in words, in their order."""
    return tuple(
        Happened(
            logged.entry.at,
            _ACTIONS.get(logged.entry.action, logged.entry.action),
            _actor(logged.entry.actor),
            _more(parse_json(logged.entry.detail, max_bytes=MAX_DETAIL, max_depth=4)),
        )
        for logged in entries
    )


def _level(name: NameOut) -> Level:
    on = network_name(name.network or "")
    match name.level:
        case "operator":
            return Level("operator", "This name belongs to who runs this gateway.")
        case "owned":
            return Level(
                "owned",
                f"A wallet owns this name and has linked it to somebody on {on}, to whom the gateway passes messages.",
                NOT_PRIVATE,
            )
        case "moved":
            return Level(
                "moved",
                f"A wallet owns this name. It was linked to somebody on {on}; its profile now names another delivery"
                " service, and its messages no longer come through this gateway.",
            )
    if f"text:{DM3_PROFILE}" in name.records:
        return Level("claimed", "A wallet owns this name. Its messages go where its own DM3 profile says.")
    return Level(
        "claimed", "A wallet owns this name. It has no DM3 profile yet, so nobody can send it messages through DM3."
    )


def _actor(actor: str) -> str:
    return checksum(EthAddress(actor)) if actor.startswith("0x") else actor


def _more(detail: Any) -> str:
    if not isinstance(detail, dict):
        return ""
    if isinstance(keys := detail.get("records"), list) and keys:
        return ", ".join(map(str, keys))
    if "to" in detail:
        return f"to {detail['to']}"
    if "network" in detail:
        return network_name(str(detail["network"]))
    if "listed" in detail:
        return "listed" if detail["listed"] else "no longer listed"
    return ""
