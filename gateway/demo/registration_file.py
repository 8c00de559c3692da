"""A Matrix registration file as the demo reads it: who the gateway is to a homeserver that is there already.

Registration files are YAML (Application Service API, "Registration"). What stands in them is flat, so the few keys
that matter are found line by line, in any of YAML's three ways to write a text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.errors import ConfigError

_SCALAR: Final = r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s,}'"][^\s,}]*)"""
_KEY: Final = re.compile(rf"^([a-z_]+):[ \t]+{_SCALAR}", re.MULTILINE)
_USER: Final = re.compile(rf"\bregex:[ \t]+{_SCALAR}")
_SERVER_NAME: Final = re.compile(r"[A-Za-z0-9.\[\]:-]+")


@dataclass(frozen=True, slots=True)
class Registration:
    """The parts of a registration that the demo needs."""

    id: str
    url: str
    """Where the homeserver looks for the gateway."""
    as_token: str = field(repr=False)
    hs_token: str = field(repr=False)
    bot: str
    """Local part of the application service's own user."""
    server_name: str
    """Of the homeserver, from the namespace of users."""


def read_registration(path: Path) -> Registration:
    """Read a file; raises ConfigError with what it lacks."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    keys = {match[1]: _plain(match[2]) for match in _KEY.finditer(text)}
    lacking = [key for key in ("id", "url", "as_token", "hs_token", "sender_localpart") if not keys.get(key)]
    if lacking:
        raise ConfigError(f"{path}: is no registration file of Matrix: {', '.join(lacking)} missing")
    return Registration(
        id=keys["id"],
        url=keys["url"],
        as_token=keys["as_token"],
        hs_token=keys["hs_token"],
        bot=keys["sender_localpart"],
        server_name=_server_name(text, path),
    )


def _server_name(text: str, path: Path) -> str:
    """The part behind the colon of the patterns of users, without the backslashes of regular expressions."""
    users = [pattern for match in _USER.finditer(text) if (pattern := _plain(match[1])).startswith("@")]
    names = {re.sub(r"\\(.)", r"\1", user.partition(":")[2]) for user in users}
    if len(names) != 1 or not _SERVER_NAME.fullmatch(name := names.pop()):
        raise ConfigError(f"{path}: namespaces.users does not name one server")
    return name


def _plain(scalar: str) -> str:
    if scalar.startswith('"'):
        try:
            return str(json.loads(scalar))
        except ValueError:
            return ""
    return scalar[1:-1].replace("''", "'") if scalar.startswith("'") else scalar
