"""Records and policies of MTA-STS (RFC 8461, sections 3.1, 3.2 and 4.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.sdk import InvalidInput

MAX_AGE: Final = 31_557_600
"""Seconds, one year."""
MAX_MX: Final = 1_000
_RECORD: Final = re.compile(r"v=STSv1[ \t]*;(?P<fields>.*)", re.DOTALL)
_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}")
_MX: Final = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")


class Mode(StrEnum):
    """What a domain wants."""

    ENFORCE = "enforce"
    """No mail without verified TLS."""
    TESTING = "testing"
    """Mail in any case; failures are counted."""
    NONE = "none"
    """As if there were no policy."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy."""

    mode: Mode
    max_age: int
    """Seconds from the time it was fetched."""
    mx: tuple[str, ...]
    """Names of mail servers in lower case; ``*.`` stands for one label."""

    def covers(self, host: str) -> bool:
        """Whether a mail server may be used (section 4.1)."""
        name = host.rstrip(".").lower()
        _, dot, parent = name.partition(".")
        return name in self.mx or (bool(dot) and f"*.{parent}" in self.mx)


def record_id(texts: Sequence[str]) -> str | None:
    """The id in the TXT records at ``_mta-sts.``; None unless exactly one of them is a record of ours (section 3.1)."""
    found = [match for text in texts if (match := _RECORD.fullmatch(text)) is not None]
    if len(found) != 1:
        return None
    for field in found[0]["fields"].split(";"):
        key, _, value = field.strip(" \t").partition("=")
        if key == "id":
            return value if _ID.fullmatch(value) else None
    return None


def parse_policy(text: str) -> Policy:
    """Read a policy file; raises InvalidInput. The first of several equal keys counts, unknown keys do not."""
    values: dict[str, str] = {}
    servers: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        key, colon, value = line.partition(":")
        key, value = key.strip(" \t"), value.strip(" \t")
        if key == "mx" and colon:
            servers.append(value.rstrip(".").lower())
        elif colon:
            values.setdefault(key, value)
    if values.get("version") != "STSv1":
        raise InvalidInput("an MTA-STS policy is of version STSv1")
    if not re.fullmatch(r"[0-9]{1,10}", age := values.get("max_age", "")):
        raise InvalidInput("an MTA-STS policy has a max_age in seconds")
    try:
        mode = Mode(values.get("mode", ""))
    except ValueError:
        raise InvalidInput("the mode of an MTA-STS policy is enforce, testing or none") from None
    if len(servers) > MAX_MX or not all(_MX.fullmatch(each) for each in servers):
        raise InvalidInput("an MTA-STS policy names mail servers that are none")
    if not servers and mode is not Mode.NONE:
        raise InvalidInput("an MTA-STS policy names no mail server")
    return Policy(mode, min(int(age), MAX_AGE), tuple(servers))
