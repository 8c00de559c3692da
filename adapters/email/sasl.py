"""The two log-in exchanges that mail programs use: PLAIN (RFC 4616) and LOGIN."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Final

Challenge = Callable[[str], Awaitable[bytes]]
"""Sends base64 text behind 334 and returns the client's line."""

Credentials = tuple[str, str]
"""Log-in name and password."""

_USERNAME: Final = base64.b64encode(b"Username:").decode()
_PASSWORD: Final = base64.b64encode(b"Password:").decode()
_MAX_ENCODED: Final = 4096


async def read_plain(initial: str, challenge: Challenge) -> Credentials | None:
    """One answer of authorisation id, log-in name and password; None for what is malformed or taken back by ``*``."""
    answer = _decode(initial.encode() if initial else await challenge(""))
    if answer is None or answer.count("\0") != 2:
        return None
    authorisation, login, password = answer.split("\0")
    # Acting for somebody else is nothing that we offer.
    return (login, password) if authorisation in ("", login) and login else None


async def read_login(initial: str, challenge: Challenge) -> Credentials | None:
    """Two answers; None for what is malformed or taken back by ``*``."""
    login = _decode(initial.encode() if initial else await challenge(_USERNAME))
    if not login:
        return None
    password = _decode(await challenge(_PASSWORD))
    return None if password is None else (login, password)


def _decode(encoded: bytes) -> str | None:
    if len(encoded) > _MAX_ENCODED:
        return None
    if encoded == b"=":  # an empty initial response (RFC 4954, section 4)
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
