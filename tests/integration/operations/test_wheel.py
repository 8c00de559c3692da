"""The wheel: what an operator installs holds everything that the commands need, without this repository."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from gateway.store.schema import REVISION

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def run(wheel: Path, cwd: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_the_wheel_that_runs(wheel: Path, tmp_path: Path) -> None:
    assert str(wheel) in run(wheel, tmp_path, "-c", "import gateway; print(gateway.__file__)")


@pytest.mark.weakness(21)
def test_an_installation_from_the_wheel_migrates(wheel: Path, tmp_path: Path) -> None:
    init = ("init", "--yes", "--parent", "gw.eth", "--public-url", "https://gw.example", "--rpc", "http://127.0.0.1:9")
    run(wheel, tmp_path, "-m", "gateway", *init, "--email-domain", "gw.example")
    assert f"none -> {REVISION}" in run(wheel, tmp_path, "-m", "gateway", "migrate")
    assert "Adapters: email" in run(wheel, tmp_path, "-m", "gateway", "config", "check")


def declared(wheel: Path, extras: frozenset[str]) -> Iterator[Distribution]:
    """The distributions that an installation with these extras brings, and no others of this environment."""
    (metadata,) = wheel.glob("*.dist-info")
    found: set[tuple[str, frozenset[str]]] = set()
    todo = [("dm3-gateway", extras)]
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in found:
            continue
        found.add((name, wanted))
        described = Distribution.at(metadata) if name == "dm3-gateway" else distribution(name)
        if name != "dm3-gateway":
            yield described
        for line in described.requires or ():
            need = Requirement(line)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                todo.append((need.name, frozenset(need.extras)))


def alone(wheel: Path, folder: Path, extras: frozenset[str]) -> Path:
    """A folder with nothing but those distributions."""
    folder.mkdir()
    for each in declared(wheel, extras):
        for part in {file.parts[0] for file in each.files or () if file.parts[0] != ".."}:
            link = folder / part
            if not link.exists():
                link.symlink_to(Path(str(each.locate_file(part))))
    return folder


OF_TRACES = "gateway.operations.otel"
"""Of an extra that `all` does not bring."""
OF_EXTRAS = f"gateway.demo gateway.store.postgres gateway.relay.fan_out {OF_TRACES}"
"""Loaded only by whoever asks for what they are about."""
EVERY_MODULE = """
import importlib, pkgutil, sys
for package in sys.argv[2:]:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if not module.name.startswith(tuple(sys.argv[1].split())):
            importlib.import_module(module.name)
print("all loaded")
"""


@pytest.mark.weakness(21)
@pytest.mark.parametrize(
    ("extras", "not_these", "packages"),
    [
        (frozenset(), f"{OF_EXTRAS} gateway.__main__", ("gateway",)),
        (frozenset({"all"}), f"gateway.__main__ {OF_TRACES}", ("gateway", "adapters")),
    ],
    ids=["base", "all"],
)
def test_it_loads_with_what_it_declares_and_nothing_else(
    wheel: Path, tmp_path: Path, extras: frozenset[str], not_these: str, packages: tuple[str, ...]
) -> None:
    """The packages of the reference do not: they live on what others happen to bring."""
    only = alone(wheel, tmp_path / "only", extras)
    assert not list(only.glob("pytest*"))
    done = subprocess.run(
        [sys.executable, "-S", "-c", EVERY_MODULE, not_these, *packages],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{wheel}{os.pathsep}{only}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "all loaded\n", done.stderr


@pytest.mark.weakness(21)
def test_the_demo_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    ports = ("--gateway-port", "0", "--rpc-port", "0", "--smtp-port", "0")
    assert "steps held" in run(wheel, tmp_path, "-m", "gateway", "demo", "--once", *ports)


def test_licence_and_types_are_in_it_and_tests_are_not(wheel: Path) -> None:
    names = {str(path.relative_to(wheel)) for path in wheel.rglob("*")}
    assert any(name.endswith("LICENSE") for name in names)
    assert {"gateway/py.typed", "adapters/py.typed", "gateway/web/static/site.css"} <= names
    assert {"gateway/web/templates/claim.html", "gateway/web/static/js/claim.js"} <= names
    assert not any(name.startswith("tests") for name in names)
