"""Words of strangers beside those of the gateway: nobody speaks as the gateway, and what it repeats is quoted."""

from __future__ import annotations

from typing import Final

from gateway.sdk.delivery import NOTICE_MARK

_HIDDEN: Final = str.maketrans({'"': "'", "\u201c": "'", "\u201d": "'"})


def said_by_people(text: str) -> str:
    """What somebody wrote, or what stands before it, such as their nick; as a quotation where it begins as ours do."""
    return f"> {text}" if text.startswith(NOTICE_MARK) else text


def quoted(words: str) -> str:
    """One line in quotation marks, without what cannot be seen, and without what would end the quotation."""
    seen = "".join(each if each.isprintable() else " " for each in words)
    return f'"{" ".join(seen.translate(_HIDDEN).split())}"'
