"""The wheel: what an operator installs holds everything that the commands need, without this repository."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

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


def test_an_installation_from_the_wheel_migrates(wheel: Path, tmp_path: Path) -> None:
    init = ("init", "--yes", "--parent", "gw.eth", "--public-url", "https://gw.example", "--rpc", "http://127.0.0.1:9")
    run(wheel, tmp_path, "-m", "gateway", *init, "--email-domain", "gw.example")
    assert f"none -> {REVISION}" in run(wheel, tmp_path, "-m", "gateway", "migrate")
    assert "Adapters: email" in run(wheel, tmp_path, "-m", "gateway", "config", "check")


def test_the_demo_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    ports = ("--gateway-port", "0", "--rpc-port", "0", "--smtp-port", "0")
    assert "steps held" in run(wheel, tmp_path, "-m", "gateway", "demo", "--once", *ports)


def test_licence_and_types_are_in_it_and_tests_are_not(wheel: Path) -> None:
    names = {str(path.relative_to(wheel)) for path in wheel.rglob("*")}
    assert any(name.endswith("LICENSE") for name in names)
    assert {"gateway/py.typed", "adapters/py.typed", "gateway/web/static/site.css"} <= names
    assert not any(name.startswith("tests") for name in names)
