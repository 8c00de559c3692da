"""Makes the keys that sign our mail and prints the DNS records that belong to them.

Run as ``python -m adapters.email.keys DOMAIN FOLDER [SELECTOR]``. Keys that are there already stay: their records are
printed again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from adapters.email.dkim.keys import DkimKey, load_keys, new_keys, to_pem
from gateway.sdk import ConfigError

SELECTOR: Final = "dm3"
FILES: Final = ("dkim-ed25519.pem", "dkim-rsa.pem")


def make_keys(folder: Path, selector: str) -> tuple[DkimKey, ...]:
    """The keys of a folder, made when it has none. Raises ConfigError, also for a folder with one of the two."""
    paths = [folder / name for name in FILES]
    if not any(path.exists() for path in paths):
        for path, key in zip(paths, new_keys(selector), strict=True):
            _write(path, to_pem(key))
    return load_keys(paths, selector)


def _write(path: Path, pem: str) -> None:
    """A new file that only its owner may read."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(pem)


def main(arguments: Sequence[str]) -> int:
    """Print one line of a zone file for each key."""
    if len(arguments) not in (2, 3):
        print("usage: python -m adapters.email.keys DOMAIN FOLDER [SELECTOR]", file=sys.stderr)
        return 2
    domain, folder, selector = (*arguments, SELECTOR)[:3]
    try:
        keys = make_keys(Path(folder), selector)
    except ConfigError as error:
        print(error.detail, file=sys.stderr)
        return 1
    for key in keys:
        print(key.zone_line(domain))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
