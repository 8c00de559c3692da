"""Ports for servers that are told theirs beforehand and may be started anew at the same one."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from gateway.web.server import listen

HOST: Final = "127.0.0.1"
FIRST: Final = 10_000
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(number: int) -> list[int]:
    """So many ports that nobody has, below those that the system gives to connections and to whoever asks for any.

    One of the latter could be somebody else's by the time it is used, with all the tests that run beside this one.
    """
    below = _first_given()
    found: set[int] = set()
    while len(found) < number:
        port = random.randrange(FIRST, below)
        try:
            listen(HOST, port).close()
        except OSError:
            continue
        found.add(port)
    return sorted(found)


def _first_given() -> int:
    try:
        return int(_RANGE.read_text().split()[0])
    except (OSError, ValueError):
        # Elsewhere than on Linux (RFC 6335, section 6).
        return 49_152
