"""Files that only their owner may read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from gateway.errors import ConfigError


def write_secret(path: Path, content: str, *, encoding: str = "utf-8") -> None:
    """A new file that only its owner may read; raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding=encoding, newline="") as file:
        file.write(content)


def replace_secret(path: Path, content: str, *, encoding: str = "utf-8") -> None:
    """The same where there may be a file already, which is there whole until the new one is. Raises ConfigError."""
    fresh = None
    try:
        descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding=encoding, newline="") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError as error:
        if fresh is not None:
            Path(fresh).unlink(missing_ok=True)
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
