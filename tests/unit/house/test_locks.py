"""What is installed is what was chosen: every pin with its hashes, no index named, nothing needed that has no pin."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
LOCKS = sorted(
    path for path in ROOT.rglob("*.lock") if not set(path.parts) & {".venv", "node_modules", ".cache", ".demo"}
)
ENTRY = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[a-z0-9,-]+\])?==(?P<version>\S+?)(?: ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")


def pins(lock: Path) -> dict[str, int]:
    """Number of hashes by name; AssertionError for a line that is neither a pin nor a hash."""
    found: dict[str, int] = {}
    name = ""
    for line in lock.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if HASH.fullmatch(line):
            found[name] += 1
            continue
        entry = ENTRY.fullmatch(line)
        assert entry is not None, f"{lock.name}: {line}"
        name = canonicalize_name(entry["name"])
        found.setdefault(name, 0)
    return found


def wanted(*extras: str, groups: tuple[str, ...] = ()) -> set[str]:
    """Names that the project asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [project["project"]["dependencies"]]
    lists += [project["project"]["optional-dependencies"][each] for each in extras]
    lists += [project["dependency-groups"][each] for each in groups]
    names: set[str] = {canonicalize_name(Requirement(line).name) for lines in lists for line in lines}
    return names - {"dm3-gateway"}


def test_the_locks_are_found() -> None:
    assert {path.relative_to(ROOT).as_posix() for path in LOCKS} >= {
        "requirements.lock",
        "tests/requirements.lock",
        "deploy/synapse.lock",
        "deploy/container/build.lock",
    }


@pytest.mark.attack(58)
@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_pin_has_its_hashes(lock: Path) -> None:
    found = pins(lock)
    assert found
    assert [name for name, hashes in found.items() if hashes == 0] == []


@pytest.mark.attack(58)
def test_nothing_is_needed_that_has_no_pin() -> None:
    extras = ("postgresql", "redis", "email", "matrix", "xmpp", "demo")
    assert wanted(*extras) <= pins(ROOT / "requirements.lock").keys()
    assert wanted(*extras, groups=("test",)) <= pins(ROOT / "tests" / "requirements.lock").keys()


@pytest.mark.attack(58)
def test_what_the_tests_install_is_what_operators_install() -> None:
    def versions(lock: Path) -> dict[str, str]:
        return {each["name"]: each["version"] for each in ENTRY.finditer(lock.read_text(encoding="utf-8"))}

    ours, tested = versions(ROOT / "requirements.lock"), versions(ROOT / "tests" / "requirements.lock")
    assert {name: tested.get(name) for name in ours} == ours


@pytest.mark.attack(58)
def test_clients_in_javascript_are_pinned_exactly() -> None:
    manifest = json.loads((ROOT / "tests" / "interop" / "js" / "package.json").read_text(encoding="utf-8"))
    versions = [version for part in ("dependencies", "devDependencies") for version in manifest.get(part, {}).values()]
    assert versions
    # An alias of npm names the package before the version.
    assert all(re.fullmatch(r"(?:npm:[@a-z0-9./-]+@)?\d+\.\d+\.\d+(?:-[\w.]+)?", each) for each in versions), versions
