"""Names as clients of the reference write them: folded by nameprep (RFC 3491) and not by ENSIP-15.

Needed only to know what such a client makes of a name. Two ENS names can fold to one text here (``faß.eth`` and
``fass.eth``), so nothing is ever keyed by it.
"""

from __future__ import annotations

import stringprep
from collections.abc import Callable
from typing import Final
from unicodedata import ucd_3_2_0

from gateway.errors import InvalidName

_PROHIBITED: Final[tuple[Callable[[str], bool], ...]] = (
    stringprep.in_table_c12,
    stringprep.in_table_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
"""RFC 3491 section 5."""


def nameprep(name: str) -> str:
    """The folded name; raises InvalidName where those clients raise an error of their own.

    As in the reference the whole name is prepared at once, without the check of bidirectional text, but with the
    hyphen rules of IDNA (RFC 3490 section 4.1 step 3), which it also applies to the whole and not to each label.
    """
    folded = "".join(stringprep.map_table_b2(character) for character in name if not stringprep.in_table_b1(character))
    prepared = ucd_3_2_0.normalize("NFKC", folded)
    for character in prepared:
        if any(prohibited(character) for prohibited in _PROHIBITED):
            raise InvalidName("nameprep prohibits a character of this name")
        if stringprep.in_table_a1(character):
            raise InvalidName("nameprep does not know a character of this name")
    if prepared.startswith("-") or prepared.endswith("-") or prepared[2:4] == "--":
        raise InvalidName("a hyphen stands where IDNA forbids it")
    return prepared


def conversation_id(receiver: str, sender: str) -> str:
    """The reference's key of a conversation: receiver (name or address) and sender, in this order."""
    return f"{nameprep(receiver)},{nameprep(sender)}"
