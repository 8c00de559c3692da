"""Files that only their owner may read."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from gateway.errors import ConfigError


def write_secret(path: Path, content: str, *, encoding: str = "utf-8") -> None:
    """A new file that only its owner may read; raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding=encoding, newline="") as file:
        file.write(content)


def replace_secret(
    path: Path, content: str, *, encoding: str = "utf-8", like: Path | None = None, private: bool = False
) -> None:
    """The same where there may be a file already, which is there whole until the new one is. Raises ConfigError.

    Whoever could read that file still can, such as the server that it is for: its mode, group and owner stay as far as
    we may set them, and nobody else gets to read it. Where there is none they are those of ``like``; ``private`` makes
    the mode 0600 whatever it was.
    """
    fresh = None
    try:
        descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding=encoding, newline="") as file:
            model = next((each for each in (path, like) if each is not None and each.exists()), None)
            if model is not None:
                _inherit(descriptor, model.stat(), path.parent.stat(), private=private)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError as error:
        if fresh is not None:
            Path(fresh).unlink(missing_ok=True)
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def _inherit(descriptor: int, model: os.stat_result, folder: os.stat_result, *, private: bool) -> None:
    """Before anything is written: owner and group first, so that the mode never lets somebody else in."""
    if folder.st_mode & stat.S_IWOTH:
        return  # there, anybody may have put the file in our way
    for owner in (model.st_uid, -1):
        with suppress(PermissionError):
            os.fchown(descriptor, owner, model.st_gid)
            break
    mode = stat.S_IMODE(model.st_mode) & 0o777
    if os.fstat(descriptor).st_gid != model.st_gid:
        mode &= ~stat.S_IRWXG
    if not private:
        os.fchmod(descriptor, mode)
