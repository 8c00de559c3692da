"""Who says what in a room that speaks as one: names that are one line and one person's, words that stay their writer's.

People choose their names, and may choose another's, or one that reads as if others spoke. Names that are not unique are
told apart as Matrix wants it (Client-Server API, "Calculating the display name for a user"). Pure.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Final

MAX_NAME: Final = 200
"""Characters of a name that are kept."""
_JOINERS: Final = "\u200c\u200d"
"""Of some scripts and of emoji; all else that cannot be seen goes."""
_ENDS: Final = frozenset({"Cc", "Zl", "Zp"})
_HIDDEN: Final = frozenset({"Cf", "Cs"})
_UNSEEN_LETTERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_COLONS: Final = frozenset(":\u02d0\u02f8\u0589\u05c3\u2236\ua789")
"""And what looks like it, after compatibility forms are resolved."""
_OURS: Final = ("*", ">", "[")
"""How emotes, quotations and the gateway's own words begin."""


def one_line(name: str) -> str:
    """A name without controls, line ends and what turns or hides text, its blanks single; "" when nothing is left."""
    cleaned = " ".join("".join(map(_in_line, name[: 8 * MAX_NAME])).split())[:MAX_NAME].rstrip()
    return cleaned if any(each not in _JOINERS for each in cleaned) else ""


def _in_line(each: str) -> str:
    category = unicodedata.category(each)
    if category in _ENDS:
        return " "
    return "" if category in _HIDDEN and each not in _JOINERS else each


def folded(name: str) -> str:
    """The same for names that differ in case, width or what cannot be seen."""
    flat = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join("".join(each for each in flat if not unseen(each)).split())


def unseen(each: str) -> bool:
    """Whether a character shows nothing, whatever its category says."""
    selector = "\ufe00" <= each <= "\ufe0f" or "\U000e0100" <= each <= "\U000e01ef"
    return selector or each in _UNSEEN_LETTERS or unicodedata.category(each) in _HIDDEN


def unmistakable(names: Mapping[str, str]) -> dict[str, str]:
    """How everybody in a room is called, from their display names: each differently, and nobody as another.

    ``Alice``, ``Alice (@alice:example.org)`` where somebody else has the name too or it could be taken for something
    else, and ``@alice:example.org`` without a name, or with a colon in it: what follows it would be read as said.
    """
    cleaned = {user: one_line(name) for user, name in names.items()}
    bearers = Counter(map(folded, cleaned.values()))
    return {user: _called(user, name, shared=bearers[folded(name)] > 1) for user, name in cleaned.items()}


def with_id(user: str, name: str) -> str:
    """How somebody is called of whom it is not known who else is there."""
    return _called(user, one_line(name), shared=True)


def _called(user: str, name: str, *, shared: bool) -> str:
    plain = unicodedata.normalize("NFKC", name)
    if not folded(name) or not _COLONS.isdisjoint(plain):
        return user
    return f"{name} ({user})" if shared or "@" in plain or plain.startswith(_OURS) else name


def without_colons(name: str) -> str:
    """The name in one line, and nothing in it that would end it before what was said."""
    return one_line("".join(" " if unicodedata.normalize("NFKC", each) in _COLONS else each for each in name))


def spoken(name: str, words: str, *, emote: bool) -> str:
    """What somebody said, behind their name; several lines as a quotation, or one might begin with another's name."""
    lines = words.splitlines()
    if len(lines) > 1:
        said = "\n".join(f"> {line}" if line else ">" for line in lines)
        return f"* {name}\n{said}" if emote else f"{name}:\n{said}"
    if emote:
        return f"* {name} {words}"
    return f"{name}: {words}" if words else f"{name} sent a file:"
