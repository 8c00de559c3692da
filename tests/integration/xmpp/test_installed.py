"""Servers that are set up as README.md says, with the files that `dm3-gateway init` writes, take the gateway in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.prosody import CONFIG, MISSING, PRIVILEGE_MISSING, Prosody, find_privilege, find_prosody
from gateway.demo.xmpp_server import HOST, XmppServer
from gateway.demo.xmpp_user import XmppFault, XmppUser
from gateway.ids import EnsName
from gateway.operations.dm3_client import Received
from gateway.sdk import file_attachment
from tests.support.ejabberd import MISSING as NO_EJABBERD
from tests.support.ejabberd import Ejabberd, find_ejabberd
from tests.support.process import GatewayProcess, gateway_process
from tests.support.require import require
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("xmpp")

README = Path(__file__).parents[3] / "adapters" / "xmpp" / "README.md"
DOMAIN = "example.org"
ALICE = EnsName("alice.example.org.xmpp.gw.eth")
WORDS = "hello from a server that an operator set up"
FILE = b"\0\1\2"


def block(language: str, *replaced: tuple[str, str]) -> str:
    """The lines of README.md for a server, with other paths and addresses."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    for old, new in replaced:
        assert old in found
        found = found.replace(old, new)
    return str(found)


class SetUpProsody(Prosody):
    """What it knows of the gateway stands in README.md and the file."""

    def _write_config(self) -> None:
        super()._write_config()
        place = self.folder / CONFIG
        whole, _, _ = place.read_text().partition("VirtualHost ")
        lines = [line for line in whole.splitlines() if not line.startswith("component_secret")]
        file = str(self.folder.parent / "xmpp-prosody.cfg.lua")
        lines.append(block("lua", ("/etc/prosody/dm3-gateway.cfg.lua", file)))
        place.write_text("\n".join(lines))


class SetUpEjabberd(Ejabberd):
    """The same for ejabberd."""

    def _config(self) -> dict[str, Any]:
        file = self.folder / "readme.yml"
        file.write_text(
            block(
                "yaml",
                ("/etc/ejabberd/dm3-gateway.yml", str(self.folder.parent / "xmpp-ejabberd.yml")),
                ("https://example.org:5443", f"http://{HOST}:{self.http_port}"),
                ("/var/lib/ejabberd/upload", str(self.folder / "upload")),
            )
        )
        return super()._config() | {"include_config_file": [str(file)]}

    def _listeners(self) -> list[dict[str, Any]]:
        return [each for each in super()._listeners() if each["module"] != "ejabberd_service"]

    def _modules(self) -> dict[str, Any]:
        return {name: options for name, options in super()._modules().items() if name != "mod_http_upload"}


async def test_prosody(tmp_path: Path) -> None:
    require(find_prosody(), MISSING)
    require(find_privilege(), PRIVILEGE_MISSING)
    alice = await _takes_the_gateway(SetUpProsody(tmp_path / "server", domain=DOMAIN))
    assert not [each for each in alice.presences.items if each.type == "subscribe"], "contacts are asked for"


async def test_ejabberd(tmp_path: Path) -> None:
    require(find_ejabberd(), NO_EJABBERD)
    await _takes_the_gateway(SetUpEjabberd(tmp_path / "server", domain=DOMAIN))


async def _takes_the_gateway(server: XmppServer) -> XmppUser:
    """Words, an answer with a file; what Alice heard stays with her."""
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
            assert (await until(lambda: _heard(gateway), 20)).sender == ALICE
            attachment = file_attachment("b.bin", "application/x-b", FILE)
            await gateway.native.send(ALICE, "", attachments=(attachment,))
            shown = await alice.wait_message(lambda message: message.text("x/url"))
            assert await alice.download(shown.text("x/url") or "") == FILE
            assert await gateway.stop() == 0
            secret = (folder / "xmpp.secret").read_text().strip()
            assert secret
            assert secret not in gateway.log()
            return alice
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
