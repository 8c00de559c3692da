"""Every secret of an installation in one document, which is only ever written encrypted; and the way back.

It covers the configuration itself and whatever file a setting names that holds a secret: seed, keys of the relay and of
the resolver with those before and after them in a rotation, VAPID, the tokens of operator pages and of metrics, and the
files of adapters (tokens of Matrix, secret of XMPP, key of return paths, DKIM, users of mail, TLS). What no setting
names, such as a KMS behind ``signer_command``, is not in it.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from gateway.custody.derive import fingerprint
from gateway.custody.seed import load_seed
from gateway.errors import ConfigError
from gateway.operations import age
from gateway.operations.adapter_types import adapter_settings
from gateway.operations.secret_files import replace_secret, write_secret
from gateway.settings import Settings

FORMAT: Final = 1
KIND: Final = "dm3-gateway keys"
STAGES: Final = ("", ".next", ".old")
"""A key, the one that follows, and the one before, see ``rotation``."""
MAX_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One file, by its path from the configuration's folder, or an absolute one."""

    setting: str
    path: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All of them."""

    seed: str
    """Fingerprint."""
    parent: str
    files: tuple[KeptFile, ...]

    def to_json(self) -> str:
        """The document; secret."""
        files = [
            {"setting": each.setting, "path": each.path, "content": base64.b64encode(each.content).decode()}
            for each in self.files
        ]
        head = {"kind": KIND, "format": FORMAT, "seed": self.seed, "parent": self.parent}
        return json.dumps({**head, "files": files}, indent=1)


def collect_keys(settings: Settings, config: Path) -> KeyRing:
    """Read every file; raises ConfigError for one that is named and not there, CustodyError for the seed."""
    base = config.resolve().parent
    seed = load_seed(settings.custody.seed_file)
    named: dict[str, tuple[Path, bool]] = {
        "gateway.toml": (config.resolve(), True),
        "custody.seed_file": (settings.custody.seed_file, True),
        "relay.key_file": (settings.relay.key_file, True),
        "ens.signer_key_file": (settings.ens.signer_key_file, not settings.ens.signer_command),
    }
    if settings.notifications.vapid_key_file is not None:
        named["notifications.vapid_key_file"] = settings.notifications.vapid_key_file, True
    if settings.admin.token_file is not None:
        named["admin.token_file"] = settings.admin.token_file, False  # a node makes one that is not there
    if settings.operation.metrics_token_file is not None:
        named["operation.metrics_token_file"] = settings.operation.metrics_token_file, True
    for name, table in settings.adapters.items():
        for key, path in _files_of(adapter_settings(name, table, base)):
            named[f"adapters.{name}.{key}"] = path, True
    files = [each for setting, (path, needed) in named.items() for each in _read(setting, path, base, needed=needed)]
    return KeyRing(fingerprint(seed), settings.ens.parent, tuple(files))


def read_keys(text: str) -> KeyRing:
    """Read a document; raises ConfigError."""
    try:
        values: dict[str, Any] = json.loads(text)
        if values["kind"] != KIND or values["format"] > FORMAT:
            raise ConfigError("these are no keys, or of a newer version")
        files = tuple(
            KeptFile(each["setting"], each["path"], base64.b64decode(each["content"])) for each in values["files"]
        )
        return KeyRing(values["seed"], values["parent"], files)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"this is no backup of keys: {type(error).__name__}") from None


def seal_keys(ring: KeyRing, recipient: str) -> bytes:
    """The document, encrypted; raises ConfigError."""
    sealed = io.BytesIO()
    age.seal(io.BytesIO(ring.to_json().encode()), sealed, age.recipient_of(recipient))
    return sealed.getvalue()


def unseal_keys(sealed: bytes, identity: Path) -> KeyRing:
    """Decrypt and read; raises ConfigError."""
    clear = io.BytesIO()
    age.unseal(io.BytesIO(sealed), clear, age.identity_in(identity))
    return read_keys(clear.getvalue().decode("utf-8", "replace"))


def put_back(ring: KeyRing, folder: Path, *, replace: bool = False) -> Mapping[str, str]:
    """Write every file below ``folder``, or where it was when that was elsewhere; what became of each, by path.

    A file that is there with the same content stays. Raises ConfigError before anything is written when one has
    another content, unless ``replace`` says so: a seed that is overwritten takes every identity with it. Raises it
    also for what cannot be read or written.
    """
    try:
        return _put_back(ring, folder, replace=replace)
    except OSError as error:
        raise ConfigError(f"{error.filename or folder}: cannot be read or written: {error.strerror}") from error


def _put_back(ring: KeyRing, folder: Path, *, replace: bool) -> Mapping[str, str]:
    done = {}
    targets = {each.path: folder / each.path for each in ring.files}
    same = {each.path for each in ring.files if _has(targets[each.path], each.content)}
    differing = [path for path, target in targets.items() if path not in same and target.exists()]
    if differing and not replace:
        raise ConfigError(f"{folder}: has other {', '.join(sorted(differing))}; nothing was written")
    for each in ring.files:
        target = targets[each.path]
        if each.path in same:
            done[each.path] = "was there"
            continue
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = each.content.decode("latin-1")
        _write(target, text, differing=each.path in differing)
        done[each.path] = "replaced" if each.path in differing else "written"
    return done


def _write(target: Path, text: str, *, differing: bool) -> None:
    if differing:
        replace_secret(target, text, encoding="latin-1", private=True)
    else:
        write_secret(target, text, encoding="latin-1")


def _has(target: Path, content: bytes) -> bool:
    return target.is_file() and target.read_bytes() == content


def _files_of(settings: BaseModel) -> Iterator[tuple[str, Path]]:
    """Settings of an adapter that name files."""
    for key in type(settings).model_fields:
        value = getattr(settings, key)
        paths = (value,) if isinstance(value, Path) else value if isinstance(value, tuple) else ()
        for number, path in enumerate(paths):
            if isinstance(path, Path) and not path.is_dir() and key.endswith(("_file", "_files")):
                yield (key if len(paths) == 1 else f"{key}.{number}"), path


def _read(setting: str, path: Path, base: Path, *, needed: bool) -> Iterator[KeptFile]:
    try:
        yield from _stages(setting, path, base, needed=needed)
    except OSError as error:
        raise ConfigError(f"{setting}: {error.filename or path}: cannot be read: {error.strerror}") from error


def _stages(setting: str, path: Path, base: Path, *, needed: bool) -> Iterator[KeptFile]:
    for stage in STAGES:
        place = path.with_name(path.name + stage)
        if not place.is_file():
            if needed and not stage:
                raise ConfigError(f"{setting}: {place} is not there")
            continue
        if place.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{setting}: {place} is too large for a key")
        resolved = place.parent.resolve() / place.name
        shown = resolved.relative_to(base) if resolved.is_relative_to(base) else resolved
        yield KeptFile(setting + stage, str(shown), place.read_bytes())
