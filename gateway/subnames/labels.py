"""Which labels are given out: normal, one label, nobody's look-alike, kept back by nobody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from gateway.ens.names import is_under, nameprep_safe, normalise
from gateway.errors import InvalidName, NameRefused
from gateway.ids import EnsName
from gateway.issuance_settings import DEFAULT_RESERVED
from gateway.subnames.skeleton import skeleton

MAX_LABEL_BYTES: Final = 63
"""Of DNS, and of many clients."""
ALWAYS_RESERVED: Final = frozenset({"ds", "www", "matrix", "xmpp", "email"})
"""Our delivery service, and the zones of networks whether they are switched on or not."""


@dataclass(frozen=True)
class LabelRules:
    """What an operator allows."""

    min_length: int = 3
    """Characters."""
    reserved: frozenset[str] = frozenset(DEFAULT_RESERVED)
    """Kept back, together with what looks like them."""
    blocked: frozenset[str] = frozenset()
    """Words that no label may hold, however they are spelt."""
    beyond_nameprep: bool = False
    """Give out labels which clients of the reference generation read as another name, or not at all."""

    @cached_property
    def reserved_skeletons(self) -> dict[str, str]:
        """Reserved labels by what they look like."""
        return {skeleton(label): label for label in sorted(ALWAYS_RESERVED | self.reserved)}

    @cached_property
    def blocked_skeletons(self) -> frozenset[str]:
        """What blocked words look like."""
        return frozenset(map(skeleton, self.blocked))


def read_claimed(text: str, parent: EnsName) -> EnsName:
    """The name that somebody wants: a label, or the whole name. Raises InvalidName with the reason in words.

    A spelling that is not normal is refused and not folded: who signs must sign the very name they get.
    """
    name = text if text.endswith(f".{parent}") else f"{text}.{parent}"
    normal = normalise(name)
    if normal != name:
        raise InvalidName(f"write it as {normal.removesuffix('.' + parent)}")
    return normal


def label_of(name: EnsName, parent: EnsName) -> str:
    """The one label of ``name`` directly below ``parent``; raises NameRefused."""
    label = name.removesuffix(f".{parent}")
    if not is_under(name, parent) or "." in label:
        raise NameRefused(f"only names directly below {parent} are given out")
    return label


def check_label(name: EnsName, parent: EnsName, rules: LabelRules) -> str:
    """The label of a name that may be given out under these rules; raises NameRefused with the reason in words."""
    label = label_of(name, parent)
    if len(label) < rules.min_length:
        raise NameRefused(f"a name has at least {rules.min_length} characters")
    if len(label.encode()) > MAX_LABEL_BYTES:
        raise NameRefused(f"a name has at most {MAX_LABEL_BYTES} bytes")
    if not rules.beyond_nameprep and not nameprep_safe(name):
        raise NameRefused("older clients would read this name as another one, so it is not given out")
    look = skeleton(label)
    if (kept := rules.reserved_skeletons.get(look)) is not None:
        raise NameRefused(
            "this name is reserved" if kept == label else f"this name looks like {kept}, which is reserved"
        )
    if any(word in look for word in rules.blocked_skeletons):
        raise NameRefused("this name is not given out")
    return label


def nearest_parent(name: EnsName, parents: Iterable[EnsName]) -> EnsName | None:
    """The parent under which a name is issued, or None: one parent may be under another."""
    return max((parent for parent in parents if is_under(name, parent)), key=len, default=None)


def check_file_name(name: EnsName, parent: EnsName, parents: Iterable[EnsName]) -> None:
    """Rules for names that are brought in a file or by a key: any below the parent but those of networks.

    A row there would speak for a bridged person. Names below another of our ``parents`` are not this one's. Raises
    NameRefused.
    """
    nearest = nearest_parent(name, parents)
    if nearest != parent:
        raise NameRefused(f"{name} is issued under {nearest}")
    zone = name.removesuffix(f".{parent}").rpartition(".")[2]
    if zone in ALWAYS_RESERVED:
        raise NameRefused(f"names at and below {zone}.{parent} are not issued by hand")


def warnings(label: str) -> tuple[str, ...]:
    """What somebody should know before they tell others this name."""
    found = []
    if not label.isascii():
        found.append("It has letters beyond a to z: some people cannot type it, and it can look like another name.")
    if set(label) & set("01") and any(char.isalpha() for char in label):
        found.append("The digits 0 and 1 can be taken for the letters o and l.")
    if any(pair in label for pair in ("rn", "vv", "cl")):
        found.append("rn, vv and cl can be taken for m, w and d.")
    return tuple(found)
