"""The README's first command, as it stands there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.require import require

ROOT = Path(__file__).parents[3]


@pytest.fixture
def prepared() -> None:
    """The scripts' own environment: without it the command would install it anew beside the running tests."""
    require((ROOT / ".venv" / "stamp").exists(), "deploy/test.sh has not made .venv here")


@pytest.mark.usefixtures("prepared")
def test_the_demo_ends_with_zero(tmp_path: Path) -> None:
    ports = ("--gateway-port", "0", "--rpc-port", "0", "--smtp-port", "0")
    done = subprocess.run(
        ["sh", "deploy/demo.sh", "--once", "--only", "email", "--dir", str(tmp_path / "world"), *ports],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 17 steps held" in done.stdout
    assert done.stdout.count("  ok ") == 17


def test_the_scripts_are_plain_sh() -> None:
    for script in sorted((ROOT / "deploy").glob("*.sh")):
        checked = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
