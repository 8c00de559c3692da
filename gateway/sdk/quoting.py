"""Words of strangers beside those of the gateway: nobody speaks as the gateway, and what it repeats is quoted."""

from __future__ import annotations

import unicodedata
from typing import Final

from gateway.sdk.delivery import NOTICE_MARK
from gateway.sdk.speakers import unseen

BEGINNING: Final = 200
"""Characters that are looked at."""
_QUOTES: Final = str.maketrans({'"': "'", "\u201c": "'", "\u201d": "'"})


def said_by_people(text: str) -> str:
    """What somebody wrote, or what stands before it, such as their nick; as a quotation where it begins as ours do.

    Blanks, case, width, and what cannot be seen make no difference to a reader, and so make none here.
    """
    begins = unicodedata.normalize("NFKC", text[:BEGINNING]).casefold()
    seen = "".join(each for each in begins if each.isprintable() and not unseen(each))
    return f"> {text}" if seen.lstrip().startswith(NOTICE_MARK.rstrip()) else text


def quoted(words: str) -> str:
    """One line in quotation marks, without what cannot be seen, and without what would end the quotation."""
    return f'"{quotable(words)}"'


def quotable(words: str) -> str:
    """What stands between the marks of `quoted`; "" when there is nothing to be seen."""
    seen = "".join(each if each.isprintable() else " " for each in words)
    return " ".join(seen.translate(_QUOTES).split())
