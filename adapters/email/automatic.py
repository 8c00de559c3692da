"""The mark of what a program wrote, in texts that have no other place for it."""

from __future__ import annotations

from typing import Final

from gateway.sdk import NOTICE_MARK

AUTOMATIC_MARK: Final = "[automatic] "
"""Begins the text of automatic mail (RFC 3834) on its way into DM3, and is read on the way back."""


def marked(text: str) -> bool:
    """Whether a text says that a program wrote it: then it goes out as automatic, and nobody answers it."""
    return text.startswith((AUTOMATIC_MARK, NOTICE_MARK))
