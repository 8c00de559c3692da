"""Characters that a local part must not hold, written so that it may (XEP-0106): those ten, and no others.

It is for what other networks' addresses hold, and for showing local parts to people. No ENS name needs it: letters
outside ASCII are not escaped by it, and are written otherwise (`jids.Ids.ghost`).
"""

from __future__ import annotations

import re
from typing import Final

_CODES: Final = "20|22|26|27|2f|3a|3c|3e|40|5c"
_ESCAPED: Final = re.compile(rf"\\({_CODES})")
_TO_ESCAPE: Final = re.compile(rf"[ \"&'/:<>@]|\\(?={_CODES})")


def escaped(text: str) -> str:
    """Text as a local part; a backslash only where it would be read as an escape (section 4.2)."""
    return _TO_ESCAPE.sub(lambda found: f"\\{ord(found[0]):02x}", text)


def unescaped(local: str) -> str:
    """What a local part says; the inverse of `escaped`."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), local)
