"""What a label looks like: labels that can be taken for one another have the same skeleton.

ENSIP-15 refuses mixed scripts and words that are wholly made of look-alikes, but not ``paypa1``, ``rnike`` or ``café``.
A skeleton is for comparing only; it is shown to nobody and is no name. (The idea is UTS 39, section 4; the tables there
are far larger, but most of their entries cannot stand in a normal name.)
"""

from __future__ import annotations

import unicodedata
from typing import Final

_ALIKE: Final = str.maketrans(
    {
        **dict(zip("01", "ol", strict=True)),
        # Cyrillic
        **dict(zip("аеорсухіјѕԁԛԝһӏвкмнтгпьѐёїў", "aeopcyxijsdqwhlbkmhtrnbeeiy", strict=True)),
        # Greek
        **dict(zip("αβγεηικνορτυχωύόίάέϲϳ", "abyenikvoptuxwuoiaecj", strict=True)),
        # Armenian, Latin beyond ASCII, others
        **dict(zip("օոսհցզւɑɡɩıłøđħŧƅɴʀʏⱡꮯ", "onuhgqlagiilodhtbnryl" + "c", strict=True)),
        "ß": "ss",
        "æ": "ae",
        "œ": "oe",
        "þ": "p",
        "’": "'",
        "‐": "-",
        "–": "-",
    }
)
_PAIRS: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"))
"""Two letters that look like one."""


def letters(label: str) -> str:
    """The skeleton letter by letter: ``paypa1`` and ``páypal`` give ``paypal``."""
    bare = "".join(char for char in unicodedata.normalize("NFKD", label) if not unicodedata.combining(char))
    return bare.translate(_ALIKE)


def skeleton(label: str) -> str:
    """As ``letters``, with two letters that look like one taken for it: ``rnike`` gives ``mike``."""
    alike = letters(label)
    for pair, letter in _PAIRS:
        alike = alike.replace(pair, letter)
    return alike
