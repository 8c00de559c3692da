"""The XMPP side of a world: a server with people and two components, the adapter's table, and who has which name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from adapters.xmpp.jids import Ids
from gateway.demo.prosody import CONFIG, Prosody
from gateway.demo.prosody_config import lua
from gateway.ens.escapes import XMPP, bridged_name, canonical_xmpp
from gateway.ids import EnsName
from tests.bench.world import PARENT

DOMAIN: Final = "localhost"
COMPONENT: Final = f"dm3.{DOMAIN}"
ECHO: Final = f"echo.{DOMAIN}"
PASSWORD: Final = "a password"
UNLIMITED: Final = {"messages_per_minute": 1_000_000}
"""Few people send all messages here."""
MODULES: Final = ["disco", "roster", "saslauth", "ping"]
"""Without archives, which wait for the disk: what the server does with a message is not ours."""


class Server(Prosody):
    """With a second component, for the peer."""

    def _write_config(self) -> None:
        super()._write_config()
        with (self.folder / CONFIG).open("a", encoding="utf-8") as config:
            config.write(f"Component {lua(ECHO)}\n")


def server(folder: Path) -> Server:
    """Ready to be started."""
    made = Server(folder, domain=DOMAIN, component=COMPONENT, settings={"modules_enabled": MODULES})
    made.prepare()
    return made


def people(number: int) -> tuple[str, ...]:
    """Local parts."""
    return tuple(f"person{index}" for index in range(number))


def adapter_table(made: Server) -> dict[str, Any]:
    """The table ``[adapters.xmpp]``; the secret is in a file of the server's folder."""
    secret = made.folder / "component.secret"
    secret.write_text(made.secret, encoding="ascii")
    return {
        "component": COMPONENT,
        "host": made.host,
        "port": made.component_port,
        "secret_file": str(secret),
        **UNLIMITED,
    }


def name_of(person: str) -> EnsName:
    """The name that the gateway gives to somebody."""
    return bridged_name(XMPP, canonical_xmpp(f"{person}@{DOMAIN}"), PARENT)


def contact(name: EnsName) -> str:
    """The address of a name."""
    return str(Ids(COMPONENT).ghost(name)[0])
