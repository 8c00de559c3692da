"""Mail addresses that people enter for notifications: bounded first, then read by a strict grammar. Pure."""

from __future__ import annotations

import re
from typing import Final

from gateway.ens.canonical import canonical_email
from gateway.errors import InvalidInput
from gateway.ids import CanonicalId

MAX_ADDRESS: Final = 254
"""Octets of a path in SMTP without its angle brackets (RFC 5321, section 4.5.3.1.3)."""
MAX_LABEL: Final = 63
_TOP_LABEL: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])")


def parse_mail_address(text: str) -> CanonicalId:
    """The address in its canonical spelling: lower case, domain in ASCII. Linear in time, constant for long texts.

    Raises InvalidInput for what is no address, for hosts that have no place in public mail (one label alone, IP
    addresses, top labels of digits), and for addresses that mail programs read as an encoded word (RFC 2047).
    """
    if len(text) > MAX_ADDRESS:
        raise InvalidInput(f"a mail address has at most {MAX_ADDRESS} octets")
    address = canonical_email(text)
    labels = address.rpartition("@")[2].split(".")
    public = len(labels) > 1 and _TOP_LABEL.fullmatch(labels[-1]) and all(len(each) <= MAX_LABEL for each in labels)
    if len(address.encode()) > MAX_ADDRESS or not public or "=?" in address:
        raise InvalidInput("not an address of public mail")
    return address
