"""Small texts of the pages: times, addresses, networks, sentences."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_UNITS: Final = ((86_400_000 * 365, "year"), (86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"))
_NETWORKS: Final = {"email": "e-mail", "matrix": "Matrix", "xmpp": "XMPP"}
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}\Z")


def ago(at: int, now: int) -> str:
    """A moment as people say it: ``3 hours ago``, ``in 2 days``; both in milliseconds."""
    distance = abs(now - at)
    for size, unit in _UNITS:
        if (number := distance // size) > 0:
            span = f"{number} {unit}{'s' if number > 1 else ''}"
            return f"{span} ago" if at < now else f"in {span}"
    return "just now" if at <= now else "in a moment"


def exact(at: int) -> str:
    """A moment for machines and for who wants to know: ``2026-03-01T12:00:00Z``."""
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def day(at: int) -> str:
    """``1 March 2026``."""
    moment = datetime.fromtimestamp(at // 1000, UTC)
    return f"{moment.day} {moment:%B %Y}"


def short(actor: str) -> str:
    """An address so short that it fits into a line; whatever is none stays."""
    return f"{actor[:8]}…{actor[-6:]}" if _ADDRESS.match(actor) else actor


def network_name(network: str) -> str:
    """How a network is written."""
    return _NETWORKS.get(network, network)


def told(detail: str) -> str:
    """A reason as a sentence; names and addresses at its beginning keep their small letters."""
    if not detail:
        return ""
    first = detail.split(maxsplit=1)[0]
    begins = detail if "." in first or first.startswith("0x") else detail[0].upper() + detail[1:]
    return begins if begins.endswith((".", "!", "?", "…")) else f"{begins}."
