"""One backup as a file: a tar of a manifest and the parts it vouches for, encrypted unless asked otherwise.

The manifest comes first and has size and SHA-256 of every part. Nothing of it is secret by itself, but the parts are.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Final, TypeAlias, TypeVar

from gateway.errors import ConfigError
from gateway.operations import age
from gateway.operations.key_files import sync
from gateway.operations.scratch import STALE_SECONDS

T = TypeVar("T")
Content: TypeAlias = Path | bytes
"""Of a part: a file, or what is never to lie on a disk in clear."""

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
PREFIX, PLAIN, SEALED = "dm3-gateway-", ".tar", ".tar.age"
MAX_MANIFEST: Final = 1_000_000
BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """A file inside."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup is of."""

    format: int
    made_at: int
    """Milliseconds since the epoch."""
    version: str
    dialect: str
    revision: str
    line: str
    """Of history, which every restore ends."""
    parent: str
    seed: str
    """Fingerprint of the seed that the salts inside are sealed under."""
    counts: Mapping[str, int]
    parts: Mapping[str, Part] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OpenedBackup:
    """A backup taken apart into a folder, every part of it checked."""

    manifest: Manifest
    folder: Path


def write_backup(
    folder: Path,
    name: str,
    manifest: Manifest,
    parts: Mapping[str, Content],
    recipient: age.Recipient | None,
    told: Callable[[int], None],
) -> Path:
    """Put parts into a new file of ``folder``, which is there whole and on the disk, or not at all. Blocks.

    ``told`` gets the bytes that were read since it was called last, each part's twice; what it raises ends the work.
    Raises ConfigError when it cannot be written.
    """
    target = folder / (name + (PLAIN if recipient is None else SEALED))
    scratch = folder / f".{target.name}.{secrets.token_hex(4)}"
    try:
        described = {part: asdict(_describe(content, told)) for part, content in parts.items()}
        head = json.dumps({**asdict(manifest), "parts": described}, indent=1).encode()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sweep(folder)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if recipient is None:
                _pack(file, head, parts, told)
            else:
                _through_pipe(
                    lambda write: _pack(write, head, parts, told), lambda read: age.seal(read, file, recipient)
                )
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, target)
        sync(folder)
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        # Where the folder is none there is no file either, and what was said of it must not be lost.
        with suppress(OSError):
            scratch.unlink()
    return target


def open_backup(path: Path, folder: Path, identity: age.Identity | None) -> OpenedBackup:
    """Take a backup apart into ``folder`` and check each part. Blocks.

    Raises ConfigError for a file that is no backup, of a newer format, encrypted for somebody else, changed or not
    whole; what was read by then stays in ``folder``.
    """
    try:
        with path.open("rb") as file:
            sealed = file.read(len(age.MAGIC)) == age.MAGIC
            file.seek(0)
            if not sealed:
                return _unpack(file, folder)
            if identity is None:
                raise ConfigError(f"{path}: is encrypted; --identity names the file with the secret key")
            return _through_pipe(lambda write: age.unseal(file, write, identity), lambda read: _unpack(read, folder))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or type(error).__name__}") from error


def backups_in(folder: Path) -> list[Path]:
    """Backups of a folder, the oldest first: their names begin with the time."""
    return sorted(each for each in folder.glob(f"{PREFIX}*") if each.name.endswith((PLAIN, SEALED)))


def _sweep(folder: Path) -> None:
    """Remove what killed processes left half-written; one that lives writes to its file all the time."""
    for each in folder.glob(f".{PREFIX}*"):
        with suppress(OSError):  # somebody else's, or gone meanwhile
            if time.time() - each.lstat().st_mtime > STALE_SECONDS:
                each.unlink()


class _Reading(io.RawIOBase):
    """A part as it is read, which tells of each piece of it."""

    def __init__(self, content: Content, told: Callable[[int], None]) -> None:
        self._file: IO[bytes] = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
        self.size = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        self._told = told

    def read(self, size: int = -1) -> bytes:
        """The next piece."""
        block = self._file.read(size)
        self._told(len(block))
        return block

    def close(self) -> None:
        """The file."""
        self._file.close()
        super().close()


def _describe(content: Content, told: Callable[[int], None]) -> Part:
    digest = hashlib.sha256()
    with _Reading(content, told) as part:
        while block := part.read(BLOCK):
            digest.update(block)
        return Part(digest.hexdigest(), part.size)


def _pack(file: IO[bytes], manifest: bytes, parts: Mapping[str, Content], told: Callable[[int], None]) -> None:
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(_entry(MANIFEST, len(manifest)), io.BytesIO(manifest))
        for name, content in parts.items():
            with _Reading(content, told) as part:
                archive.addfile(_entry(name, part.size), part)


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry


def _unpack(file: IO[bytes], folder: Path) -> OpenedBackup:
    manifest: Manifest | None = None
    found: dict[str, Part] = {}
    try:
        with tarfile.open(fileobj=file, mode="r|") as archive:
            for entry in archive:
                content = archive.extractfile(entry)
                if content is None:
                    raise ConfigError(f"the backup holds {entry.name!r}, which is no file")
                if manifest is None:
                    manifest = _read_manifest(entry, content)
                    continue
                if entry.name not in manifest.parts or entry.name in found:
                    raise ConfigError(f"the backup holds {entry.name!r}, of which its manifest does not know")
                found[entry.name] = _extract(content, folder / entry.name)
    except (tarfile.TarError, EOFError) as error:
        raise ConfigError(f"this is no backup, or it is not whole: {type(error).__name__}") from None
    if manifest is None:
        raise ConfigError("this is no backup: it has no manifest")
    for name, part in manifest.parts.items():
        if found.get(name) != part:
            raise ConfigError(f"the backup's part {name} is not what its manifest says: it was changed or is not whole")
    return OpenedBackup(manifest, folder)


def _read_manifest(entry: tarfile.TarInfo, content: IO[bytes]) -> Manifest:
    if entry.name != MANIFEST or entry.size > MAX_MANIFEST:
        raise ConfigError("this is no backup: it does not begin with a manifest")
    try:
        values: dict[str, Any] = json.loads(content.read())
        if values["format"] > FORMAT:
            raise ConfigError(f"the backup was made by version {values['version']}: install that one or a newer one")
        parts = {str(name): Part(**part) for name, part in values.pop("parts").items()}
        if any("/" in name or name.startswith(".") for name in parts):
            raise ConfigError("the backup names a part that is no plain name")
        return Manifest(**values, parts=parts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"the backup's manifest cannot be read: {type(error).__name__}") from None


def _extract(content: IO[bytes], target: Path) -> Part:
    digest, size = hashlib.sha256(), 0
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            while block := _next(content):
                digest.update(block)
                size += len(block)
                file.write(block)
    except OSError as error:
        raise ConfigError(f"{target.parent}: cannot be written: {error.strerror}") from error
    return Part(digest.hexdigest(), size)


def _next(content: IO[bytes]) -> bytes:
    try:
        return content.read(BLOCK)
    except OSError as error:
        raise ConfigError(f"the backup cannot be read: {error.strerror}") from error


class _Source(io.BufferedReader):
    """The reading end of a pipe."""

    ended = False
    """Whether its end was met, which may come too early."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As any file."""
        block = super().read(size)
        self.ended = size is None or not 0 <= size <= len(block)
        return block


def _through_pipe(write: Callable[[IO[bytes]], None], read: Callable[[IO[bytes]], T]) -> T:
    """Run two halves at once that each want to drive the other; what either raises is raised.

    Of two failures the first one counts: the writer's when the reader met an end, else the reader's, after which nobody
    took what the writer had.
    """
    source, sink = os.pipe()
    failures: list[BaseException] = []

    def pump() -> None:
        try:
            with os.fdopen(sink, "wb") as file:
                write(file)
        except BrokenPipeError:
            pass
        except BaseException as error:
            failures.append(error)

    # A command that is told to end does not wait for a writer that waits for its own file.
    thread = threading.Thread(target=pump, name="backup", daemon=True)
    thread.start()
    file = _Source(io.FileIO(source))
    try:
        with file:
            result = read(file)
            while file.read(BLOCK):  # what a reader leaves, such as the end of a tar, must not look like a fault
                pass
    except Exception:
        thread.join()
        if failures and file.ended:
            raise failures[0] from None
        raise
    thread.join()
    if failures:
        raise failures[0]
    return result
