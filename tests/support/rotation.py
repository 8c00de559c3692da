"""The whole rotation of a running house's resolver key, by the command in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys

from tests.support.house import House

TTL = {"DM3_GATEWAY__ENS__ANSWER_TTL": "10"}
"""The shortest life of answers; the house must be started with it."""


async def rotate(house: House) -> str:
    """Run it until it is finished; what it said. AssertionError when it fails."""
    owner = house.config.with_name("owner.key")
    owner.touch(0o600)
    owner.write_text(house.chain.accounts["parent-owner"].key.hex())
    command = ["keys", "rotate", "resolver", "--config", str(house.config), "--owner-key", str(owner)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", *command, "--wait", "--skew", "1"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **TTL},
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    return said
