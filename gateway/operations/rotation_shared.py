"""Changing secrets that a server of another network shares with us, and the key of web push.

    files               what comes next
    secret              make secret.next, and tell what the server has to know
    secret, .next       secret.next -> secret: from now on the server must know it

A server knows one secret at a time, so for the moment between its restart and ours both refuse each other. Nothing is
lost by that: its events come again, and what we have to deliver waits in its lane.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.errors import ConfigError
from gateway.operations.adapter_types import adapter_settings, registrations
from gateway.operations.installation import REGISTRATIONS_OF, SECRETS_OF, create_vapid_key
from gateway.operations.key_files import alone, same_owner, sync
from gateway.operations.secret_files import replace_secret, write_secret
from gateway.settings import Settings

NEXT: Final = ".next"


@dataclass(frozen=True, slots=True)
class SharedReport:
    """What one call did, what comes next, and the files that the server reads, by name."""

    done: str
    coming: str
    texts: Mapping[str, str]
    """Secret; they were written beside the configuration, too."""


def rotate_shared(name: str, settings: Settings, base: Path) -> SharedReport:
    """Do the next step for an adapter (``matrix``, ``xmpp``). Raises ConfigError."""
    if name not in settings.adapters:
        raise ConfigError(f"adapters.{name}: the configuration has no such table")
    table = settings.adapters[name]
    known = adapter_settings(name, table, base)
    files: dict[str, Path] = {key: getattr(known, key) for key in SECRETS_OF[name]}
    first = next(iter(files.values()))
    with alone(first):
        waiting = {key: path.with_name(path.name + NEXT) for key, path in files.items()}
        if not all(path.exists() for path in waiting.values()):
            return _begin(name, settings, base, files, waiting, first)
        for key, path in files.items():
            os.replace(waiting[key], path)
            sync(path.parent)
        texts = registrations(name, settings.adapters, base=base, public_url=settings.server.public_url)
        for file, text in texts.items():
            replace_secret(base / file, text, like=first)
        return SharedReport(
            f"Switched to the new {', '.join(path.name for path in files.values())}.",
            "Restart the server of the network, if it does not have the new file yet, and the nodes.",
            texts,
        )


def rotate_vapid(settings: Settings) -> SharedReport:
    """Another key for web push: browsers have to subscribe anew. Raises ConfigError."""
    path = settings.notifications.vapid_key_file
    if path is None:
        raise ConfigError("notifications.vapid_key_file: there is none, so nothing is pushed")
    with alone(path):
        fresh = path.with_name(path.name + NEXT)
        fresh.unlink(missing_ok=True)
        create_vapid_key(fresh)
        same_owner(fresh, path)
        os.replace(fresh, path)
        sync(path.parent)
    coming = (
        "Restart the nodes. Push services refuse the old subscriptions; each browser makes a new one by itself or not."
    )
    return SharedReport(f"Replaced {path.name}.", coming, {})


def _begin(
    name: str, settings: Settings, base: Path, files: Mapping[str, Path], waiting: Mapping[str, Path], first: Path
) -> SharedReport:
    for key, path in files.items():
        if not waiting[key].exists():
            write_secret(waiting[key], secrets.token_hex(32) + "\n")
            same_owner(waiting[key], path)
            sync(path.parent)
    table: dict[str, Any] = {**settings.adapters[name], **{key: str(path) for key, path in waiting.items()}}
    tables = {**settings.adapters, name: table}
    texts = registrations(name, tables, base=base, public_url=settings.server.public_url)
    written = [file + NEXT for file in texts]
    for file, text in texts.items():
        known = base / file
        replace_secret(base / (file + NEXT), text, like=known if known.exists() else first)
    return SharedReport(
        f"Made the next {', '.join(path.name for path in files.values())}.",
        f"Give the server of the network {' or '.join(written)} in the place of what it has, and run this again at"
        " once; then restart both.",
        texts if name in REGISTRATIONS_OF else {},
    )
