"""Seed and keys: there, readable by their owner only, and really able to do what they are for."""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gateway.custody.seed import load_seed
from gateway.dm3.eth import checksum, recover
from gateway.errors import ConfigError
from gateway.operations.adapter_types import adapter_settings
from gateway.operations.checks.installation import CHECK_SECONDS, Installation
from gateway.resolver.opening import open_signer
from gateway.sdk.examination import Check, Finding, all_at_once, bad, good

_SECRETS: Final = ("key", "token", "secret", "users", "password")
"""In the names of adapters' settings whose files are nobody else's business."""


async def keys(house: Installation) -> Sequence[Finding]:
    """All checks of keys; errors of a file say what to do with it."""
    checks: dict[str, Check] = {
        "seed": lambda: asyncio.to_thread(_seed, house),
        "relay": lambda: asyncio.to_thread(_relay, house),
        "resolver": lambda: _resolver(house),
        "vapid": lambda: asyncio.to_thread(_vapid, house),
        "adapters": lambda: asyncio.to_thread(_adapters, house),
        "folder": lambda: asyncio.to_thread(_folder, house),
    }
    return await all_at_once(checks, CHECK_SECONDS)


def _seed(house: Installation) -> list[Finding]:
    load_seed(house.settings.custody.seed_file)
    return [good("seed", f"{house.settings.custody.seed_file} is there, and its owner's; have a copy elsewhere")]


def _relay(house: Installation) -> list[Finding]:
    house.readers.service(house.settings.relay.key_file)
    return [good("relay", f"{house.settings.relay.key_file} holds both pairs")]


async def _resolver(house: Installation) -> list[Finding]:
    """A signature over random bytes, by file or command; no answer has such a digest."""
    signer = await open_signer(house.settings.ens)
    digest = secrets.token_bytes(32)
    signed_by = recover(digest, await signer.sign(digest))
    if signed_by != signer.address:
        found = f"the signature is by {checksum(signed_by)} and not by {checksum(signer.address)}"
        return [bad("resolver", found, "put ens.signer_address right")]
    return [good("resolver", f"signs as {checksum(signer.address)}")]


def _vapid(house: Installation) -> list[Finding]:
    path = house.settings.notifications.vapid_key_file
    if path is None:
        return [good("vapid", "no key: web push is not offered")]
    house.readers.vapid(path)
    return [good("vapid", f"{path} is there: web push is offered")]


def _adapters(house: Installation) -> list[Finding]:
    """Modes of the files that adapters' settings name as secrets."""
    findings = []
    for name, table in house.settings.adapters.items():
        try:
            settings = adapter_settings(name, table, house.base)
        except ConfigError:
            continue  # Told among the checks of the configuration.
        for key, value in settings:
            if isinstance(value, Path) and any(word in key for word in _SECRETS):
                findings += _private(f"adapters.{name}.{key}", value)
    return findings or [good("adapters", "their secrets are there, and their owner's")]


def _private(setting: str, path: Path) -> list[Finding]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return [bad("adapters", f"{setting}: {path} cannot be read: {error.strerror}", f"put the file to {path}")]
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and not _is_credential(path):
        return [bad("adapters", f"{setting}: {path} may be read by others", f"chmod 600 {path}")]
    return []


def _is_credential(path: Path) -> bool:
    """systemd's credentials are readable for the group, in a folder that only the service can enter."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and path.resolve().is_relative_to(Path(folder or "").resolve())


def _folder(house: Installation) -> list[Finding]:
    """Who may exchange a file in its folder need not be able to write to it."""
    settings = house.settings
    files = (settings.custody.seed_file, settings.relay.key_file, settings.ens.signer_key_file)
    for folder in sorted({path.resolve().parent for path in files if path.exists()}):
        if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return [bad("folder", f"others can put other keys into {folder}", f"chmod go-w {folder}")]
    return [good("folder", "nobody else can exchange a key")]
