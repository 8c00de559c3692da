"""Start-up time is a feature: the gateway does not load what it may never need."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    *("web3", "alembic", "nio", "slixmpp", "aiosmtpd", "ens_normalize", "eth_account", "vyper", "eth", "asyncpg"),
    *("pywebpush", "py_vapid", "cryptography", "requests"),
)


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint('\\n'.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["gateway.app", "gateway.cli"])
def test_heavy_packages_are_loaded_only_when_they_are_used(module: str) -> None:
    assert loaded_after(f"import {module}").isdisjoint(HEAVY)


def test_the_check_can_fail() -> None:
    assert "alembic" in loaded_after("import alembic")


def test_the_pinned_unicode_package_is_the_working_one() -> None:
    """pyunormalize 18 breaks name normalisation in the versions of web3 and ens-normalize that we use."""
    from importlib.metadata import version

    assert int(version("pyunormalize").partition(".")[0]) < 18
