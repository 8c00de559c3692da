"""Changing keys of a kind that an adapter makes and the world has to see before they are used (DKIM).

    folder <name>-keys-<day>      the settings      what comes next
    is not there                                    make it, and tell what to publish
    is there, with coming.json    name other files  publish, wait, name them in the settings, restart
    is there, with coming.json    name its files    nothing but to take the old records away: finished
    is there, without             name its files    make another

Old and new are valid side by side: mail that is on its way is checked with the key that signed it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from gateway.errors import ConfigError
from gateway.operations.adapter_types import adapter_type, new_keys
from gateway.operations.key_files import alone, same_owner, sync
from gateway.operations.secret_files import write_secret
from gateway.sdk.adapter import BringsKeys, NewKeys
from gateway.settings import Settings

COMING: Final = "coming.json"
DAYS_OLD_KEYS_STAY: Final = 5
"""As long as mail servers try: what the old keys signed may arrive so late."""


@dataclass(frozen=True, slots=True)
class BroughtReport:
    """What one call did, what comes next, and lines to be copied; nothing of it is secret."""

    done: str
    coming: str
    lines: Sequence[str] = ()


def rotate_brought(name: str, settings: Settings, config: Path, today: date) -> BroughtReport:
    """Do the next step for an adapter that makes its keys; ``config`` is the settings' file. Raises ConfigError."""
    kind: object = adapter_type(name)
    if not isinstance(kind, BringsKeys) or name not in settings.adapters:
        raise ConfigError(f"adapters.{name}: is not configured, or has no keys of its own")
    base = config.resolve().parent
    with alone(config.resolve()):
        folders = sorted(base.glob(f"{name}-keys-*"))
        if not folders or not (folders[-1] / COMING).exists():
            return _make(name, base, config, today)
        note = folders[-1] / COMING
        made = json.loads(note.read_text(encoding="utf-8"))
        if not _in_use(settings.adapters[name], made["settings"]):
            return BroughtReport(f"Still waiting: {folders[-1].name} is not in use.", _to_do(name), _lines(made))
        note.unlink()
        sync(note.parent)
        return BroughtReport(
            f"Finished. {folders[-1].name} is in use.",
            f"Take the old records away in {DAYS_OLD_KEYS_STAY} days, and then the old files: mail under way is checked"
            " with them.",
        )


def _make(name: str, base: Path, config: Path, today: date) -> BroughtReport:
    label = today.strftime("%Y%m%d")
    folder = base / f"{name}-keys-{label}"
    if folder.exists():
        raise ConfigError(f"{folder.name}: was made today; there can be one change of these keys in a day")
    keys = new_keys(name, label)
    folder.mkdir(mode=0o700)
    for file, text in keys.files.items():
        write_secret(folder / file, text)
    note = {"settings": _settings(keys, folder.name), "publish": list(keys.publish)}
    write_secret(folder / COMING, json.dumps(note))
    for each in (folder, *folder.iterdir()):
        same_owner(each, config)
    sync(folder)
    sync(base)
    return BroughtReport(f"Made new keys in {folder.name}.", _to_do(name), _lines(note))


def _settings(keys: NewKeys, folder: str) -> dict[str, Any]:
    """With the names of files as they are seen from the configuration."""

    def placed(value: Any) -> Any:
        if isinstance(value, list):
            return [placed(each) for each in value]
        return f"{folder}/{value}" if value in keys.files else value

    return {key: placed(value) for key, value in keys.settings.items()}


def _in_use(table: Any, wanted: dict[str, Any]) -> bool:
    return all(table.get(key) == value for key, value in wanted.items())


def _to_do(name: str) -> str:
    return (
        "Add the first lines to the zone and leave the old ones there; when everybody sees them, put the last ones into"
        f" [adapters.{name}] and restart the nodes. Then run this again."
    )


def _lines(made: dict[str, Any]) -> list[str]:
    return [*made["publish"], *(f"{key} = {json.dumps(value)}" for key, value in made["settings"].items())]
