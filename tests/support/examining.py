"""Running groups of `doctor` on an installation whose settings a test has changed."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from gateway.operations.checks.installation import Installation, KeyReaders, asking
from gateway.operations.doctor import choose, examine, groups
from gateway.relay.keys import load_service_keys
from gateway.relay.notify.vapid import load_vapid_key
from gateway.sdk import Finding
from gateway.settings import Settings

PACKAGES = ("gateway.operations.checks", *(f"adapters.{each}.examination" for each in ("email", "matrix", "xmpp")))
BOUNDS = {f"{what}_SECONDS" for what in ("CHECK", "ASK", "SLOW", "CONNECT", "ANSWER", "STEP", "LOOKUP", "FETCH")}
"""What `doctor` waits for at most; not REFUSAL_SECONDS, which it waits for whenever all is well."""
PATIENCE = 60.0

READERS = KeyReaders(load_service_keys, load_vapid_key)


def installation(settings: Settings, config: Path) -> Installation:
    """What the checks are given."""
    return Installation(settings, config, READERS)


async def examined(settings: Settings, config: Path, *only: str) -> dict[str, tuple[Finding, ...]]:
    """The findings of some groups, all when none is named."""
    return await examine(choose(groups(settings, config, READERS), only))


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give whatever `doctor` asks a minute: an operator does not wait for long, but this machine may be busy."""
    for package in map(import_module, PACKAGES):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = import_module(found.name)
            for name in BOUNDS & vars(module).keys():
                monkeypatch.setattr(module, name, PATIENCE)
    for bounded in (asking.__wrapped__, examine):  # type: ignore[attr-defined]
        assert list(map(type, bounded.__defaults__ or ())) == [float]
        monkeypatch.setattr(bounded, "__defaults__", (PATIENCE,))


def finding(findings: Sequence[Finding], check: str) -> Finding:
    """The worst of a check; there must be one."""
    found = [each for each in findings if each.check == check]
    assert found, f"no {check} among {findings}"
    return max(found, key=lambda each: ["ok", "warn", "fail"].index(each.state))


def changed(settings: Settings, **sections: Mapping[str, Any]) -> Settings:
    """The same settings with some values of sections replaced."""
    update = {name: getattr(settings, name).model_copy(update=dict(values)) for name, values in sections.items()}
    return settings.model_copy(update=update)


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    """A file's permissions for a while."""
    before = path.stat().st_mode & 0o7777
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


@contextmanager
def content(path: Path, text: str | None) -> Iterator[None]:
    """What is in a file for a while; None: it is not there."""
    before = path.read_bytes()
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    try:
        yield
    finally:
        path.write_bytes(before)
        path.chmod(0o600)
