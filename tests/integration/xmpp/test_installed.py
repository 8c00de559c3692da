"""The files that `dm3-gateway init` writes for servers: who includes one takes the gateway as its component."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.demo.prosody import CONFIG, Prosody, find_prosody
from gateway.demo.prosody import MISSING as NO_PROSODY
from gateway.demo.xmpp_server import XmppServer
from gateway.demo.xmpp_user import XmppFault, XmppUser
from gateway.ids import EnsName
from gateway.operations.dm3_client import Received
from tests.support.ejabberd import MISSING as NO_EJABBERD
from tests.support.ejabberd import Ejabberd, find_ejabberd
from tests.support.process import GatewayProcess, gateway_process
from tests.support.require import require
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("xmpp")

WORDS = "hello from a server that an operator set up"


class SetUpProsody(Prosody):
    """Knows of the component what the file says, and nothing else."""

    def _write_config(self) -> None:
        super()._write_config()
        place = self.folder / CONFIG
        ours = ("component_secret", f'Component "{self.component}"')
        lines = [line for line in place.read_text().splitlines() if not line.startswith(ours)]
        place.write_text("\n".join([*lines, f'Include "{self.folder.parent / "xmpp-prosody.cfg.lua"}"', ""]))


class SetUpEjabberd(Ejabberd):
    """The same for ejabberd."""

    def _config(self) -> dict[str, Any]:
        return super()._config() | {"include_config_file": [str(self.folder.parent / "xmpp-ejabberd.yml")]}

    def _listeners(self) -> list[dict[str, Any]]:
        return [each for each in super()._listeners() if each["module"] != "ejabberd_service"]


async def test_prosody(tmp_path: Path) -> None:
    require(find_prosody(), NO_PROSODY)
    await _takes_the_gateway(SetUpProsody(tmp_path / "server"))


async def test_ejabberd(tmp_path: Path) -> None:
    require(find_ejabberd(), NO_EJABBERD)
    await _takes_the_gateway(SetUpEjabberd(tmp_path / "server"))


async def _takes_the_gateway(server: XmppServer) -> None:
    folder = server.folder.parent
    server.prepare()
    table = {"component": server.component, "host": server.host, "port": server.component_port}
    try:
        async with gateway_process(folder, adapters={"xmpp": table}) as gateway:
            await server.start()
            await gateway.start("--log-level", "DEBUG")
            await server.register("alice", "a password")
            alice = await server.connect("alice", "a password")
            await until(lambda: _is_there(alice, server.component), 20)
            sent = await alice.send_asking(f"native.eth@{server.component}", WORDS)
            await alice.wait_receipt(sent)
            received = await until(lambda: _heard(gateway), 20)
            assert received.sender == EnsName("alice.localhost.xmpp.gw.eth")
            assert await gateway.stop() == 0
            secret = (folder / "xmpp.secret").read_text().strip()
            assert secret
            assert secret not in gateway.log()
    finally:
        await server.close()


async def _is_there(alice: XmppUser, component: str) -> bool | None:
    try:
        return bool(await alice.info(component))
    except XmppFault:
        return None


async def _heard(gateway: GatewayProcess) -> Received | None:
    waiting = await gateway.native.fetch()
    return next((each for each in waiting if WORDS in (each.message.text or "")), None)
