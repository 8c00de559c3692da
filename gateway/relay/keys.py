"""The delivery service's own keys: a small file of two seeds, made once, readable by its owner only."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Final

from gateway.dm3.keys import ServiceKeys
from gateway.errors import ConfigError, InvalidInput

STAGES: Final = (".next", ".old")
"""Names of the files with the keys that come and that were, while the encryption key changes."""


def load_service_keys(path: Path) -> ServiceKeys:
    """Read the file, and those beside it of a change that is under way, whose encryption keys open as well.

    Raises ConfigError when one is open to others or not two different 32-byte seeds, and when the first is missing.
    """
    keys = load_one(path)
    beside = (path.with_name(path.name + stage) for stage in STAGES)
    further = tuple(load_one(each).encryption for each in beside if each.exists())
    return replace(keys, further=further)


def load_one(path: Path) -> ServiceKeys:
    """Read one file; raises ConfigError."""
    try:
        mode = path.stat().st_mode & 0o777
        content = tomllib.loads(path.read_text(encoding="ascii"))
        encryption, signing = bytes.fromhex(content["encryption"]), bytes.fromhex(content["signing"])
    except OSError as error:
        raise ConfigError(f"{path}: the relay's keys cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        raise ConfigError(f"{path}: must hold two lines, encryption and signing, each of 64 hex digits") from None
    if mode & 0o077:
        raise ConfigError(f"{path}: others may read the relay's keys (mode {mode:o}); chmod 600 {path}")
    try:
        return ServiceKeys.from_seeds(encryption, signing)
    except InvalidInput as error:
        raise ConfigError(f"{path}: {error.detail}") from None
