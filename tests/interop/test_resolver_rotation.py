"""Published clients look up names all the while the resolver's key is changed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.resolver.signer import load_signer
from tests.support.house import PARENT, House, running_house
from tests.support.node import JS_FOLDER, NodeScript
from tests.support.rotation import TTL, rotate
from tests.support.waiting import until

SCRIPTS = {"viem": "viem.mjs", "ethers6": "ethers6.mjs", "ethers5": "ethers5.cjs"}


async def look_up(house: House, script: NodeScript, found: dict[str, Any], stop: asyncio.Event) -> None:
    world = {"rpcUrl": house.chain.url, "chainId": house.chain.chain_id, "registry": house.chain.registry}
    world["universalResolver"] = house.chain.universal_resolver
    await asyncio.to_thread(script.call, "open", **world)
    while not stop.is_set():
        try:
            text = await asyncio.to_thread(script.call, "text", name=f"ds.{PARENT}", key="network.dm3.deliveryService")
            assert text.startswith("data:application/json")
            found["answered"] += 1
        except Exception as error:
            found["failed"].append(repr(error))


@pytest.mark.attack(40)
async def test_no_look_up_fails_during_a_rotation(tmp_path: Path) -> None:
    async with running_house(tmp_path, overrides=TTL) as house:
        path = house.settings.ens.signer_key_file
        before = load_signer(path).address
        scripts = {name: NodeScript(JS_FOLDER / "ens" / file) for name, file in SCRIPTS.items()}
        found: dict[str, dict[str, Any]] = {name: {"answered": 0, "failed": []} for name in scripts}
        stop = asyncio.Event()
        clients = [asyncio.create_task(look_up(house, script, found[name], stop)) for name, script in scripts.items()]
        try:
            await rotate(house)
            # The last answers of the old key would show now.
            at_end = {name: each["answered"] for name, each in found.items()}

            async def all_went_on() -> bool | None:
                return all(found[name]["answered"] > count + 3 for name, count in at_end.items()) or None

            await until(all_went_on)
        finally:
            stop.set()
            await asyncio.gather(*clients)
            for script in scripts.values():
                script.close()
        assert load_signer(path).address != before
        assert {name: each["failed"] for name, each in found.items()} == {name: [] for name in scripts}
        assert min(at_end.values()) > 20
