"""A node that nobody uses yet holds in memory only what it needs to answer the first question."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.operations.installation import Answers, create_installation
from gateway.settings import load_settings
from gateway.store.migrate import upgrade

OPENED = """
import asyncio, sys
from pathlib import Path
from gateway.app import Gateway
from gateway.settings import load_settings

async def main():
    gateway = await Gateway.open(load_settings(Path(sys.argv[1]), {}), {})
    print("\\n".join({name.partition(".")[0] for name in sys.modules}))
    await gateway.close()

asyncio.run(main())
"""
LATER = {
    "prometheus_client",
    "web3",
    "aiohttp",
    "httpx2",
    "requests",
    "socketio",
    "engineio",
    "redis",
    "cryptography",
    "py_vapid",
    "jinja2",
}


@pytest.fixture
def opened(tmp_path: Path) -> set[str]:
    """Packages that are loaded once a node is open."""
    answers = Answers(parent="gw.eth", public_url="https://gw.example", rpc_url="http://127.0.0.1:9", port=0)
    config = create_installation(tmp_path, answers)
    upgrade(load_settings(config, {}).store.url)
    done = subprocess.run([sys.executable, "-c", OPENED, str(config)], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_what_waits_for_its_first_use(opened: set[str]) -> None:
    assert "sqlalchemy" in opened
    assert opened.isdisjoint(LATER)
