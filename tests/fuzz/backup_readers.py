"""A backup that somebody hands to an operator: taken apart or refused, and nothing is written beside its folder."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
from dataclasses import asdict
from pathlib import Path

from gateway.errors import ConfigError
from gateway.operations.backup_file import MANIFEST, Manifest, Part, open_backup
from tests.fuzz.dm3_readers import JSON_WORDS
from tests.fuzz.target import Target

NEAR = "/dev/shm" if os.path.isdir("/dev/shm") else None


def backup(data: bytes) -> None:
    """ConfigError and nothing else; every part is what the manifest says."""
    with tempfile.TemporaryDirectory(dir=NEAR) as around:
        path, folder = Path(around, "backup.tar"), Path(around, "inside")
        path.write_bytes(data)
        folder.mkdir()
        try:
            opened = open_backup(path, folder, None)
        except ConfigError:
            return
        finally:
            assert sorted(os.listdir(around)) == ["backup.tar", "inside"]
        for name, part in opened.manifest.parts.items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == part.sha256


def _tar(name: str = "a") -> bytes:
    content = b"content"
    manifest = Manifest(
        format=1,
        made_at=1,
        version="1",
        dialect="sqlite",
        revision="0001",
        line="l",
        parent="gw.eth",
        seed="s",
        counts={},
        parts={name: Part(hashlib.sha256(content).hexdigest(), len(content))},
    )
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry, inside in ((MANIFEST, json.dumps(asdict(manifest)).encode()), (name, content)):
            described = tarfile.TarInfo(entry)
            described.size = len(inside)
            archive.addfile(described, io.BytesIO(inside))
    return file.getvalue()


TARGETS = (
    Target(
        "backup-file", backup, (_tar(), _tar("ä" * 60), _tar("../b")), (*JSON_WORDS, "../", "path="), max_bytes=16_384
    ),
)
