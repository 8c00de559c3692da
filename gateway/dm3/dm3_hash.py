"""The ``dm3Hash`` of a profile URL: what is fetched must be what the record promised (DM3-MTP, profile)."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from gateway.dm3.canonical import Json, sha256_hex, stringify
from gateway.dm3.encoding import hash_text
from gateway.errors import InvalidInput


def dm3_hash(value: Json) -> str:
    """0x + SHA-256 of the canonical text, so that blanks and key order of the fetched file do not matter."""
    return sha256_hex(stringify(value))


def check_dm3_hash(uri: str, value: Json) -> bool:
    """True when ``uri`` has exactly one dm3Hash and it is that of ``value``.

    The reference wants 0x and lower case; the specification's examples are also without, so both are taken.
    """
    try:
        hashes = parse_qs(urlsplit(uri).query, keep_blank_values=True, max_num_fields=64).get("dm3Hash", [])
        return len(hashes) == 1 and hash_text(hashes[0], "dm3Hash") == dm3_hash(value)
    except (ValueError, InvalidInput):
        return False
