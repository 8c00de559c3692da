"""Codes as a person of the network finds them in what was delivered to them."""

from __future__ import annotations

import re
from typing import Final

from tests.support.adapters import PaperAdapter
from tests.support.waiting import until

_CODE: Final = re.compile(r"\b[A-Z2-9]{4}-[A-Z2-9]{4}\b")


async def code_for(paper: PaperAdapter, person: str) -> str:
    """The first one that arrives."""

    async def look() -> str | None:
        theirs = (each.text for each in paper.delivered if each.recipient == person)
        found = next(filter(None, map(_CODE.search, theirs)), None)
        return None if found is None else found[0]

    return await until(look)
