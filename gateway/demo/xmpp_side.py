"""The XMPP server beside the demo's gateway: a Prosody of our own, or one that the caller gives."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from gateway.demo.homeserver import NoPeople
from gateway.demo.prosody import Prosody
from gateway.demo.teller import until
from gateway.demo.xmpp_user import XmppFault, XmppUser
from gateway.ids import EnsName
from gateway.operations.secret_files import write_secret
from gateway.sdk.addresses import punycode_localpart

SECRET: Final = "given-xmpp.secret"  # noqa: S105 (a file's name)
MAX_LOCAL_BYTES: Final = 1023
"""RFC 7622, section 3.3."""


@dataclass(frozen=True, slots=True)
class GivenXmpp:
    """A server of the caller's, which has a component for this demo."""

    component: str
    host: str
    port: int
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class XmppPeople:
    """The humans of the story, connected; both have the same password."""

    erin: XmppUser
    frank: XmppUser
    password: str


class XmppHost(Protocol):
    """Where the people of the XMPP chapter live. All is known before the start; close it, whatever happened."""

    domain: str
    component: str
    table: Mapping[str, Any]
    """``[adapters.xmpp]`` for the gateway."""
    clients: tuple[str, int] | None
    """Host and port for clients, where they are known."""

    async def start(self) -> None:
        """Return when it listens; raises ConfigError."""

    async def people(self) -> XmppPeople:
        """Register and connect, once the gateway serves; raises NoPeople."""

    async def close(self) -> None:
        """Leave, and end what was started."""


@dataclass(frozen=True, slots=True)
class XmppSide:
    """XMPP in the running world."""

    host: XmppHost
    people: XmppPeople | None
    reason: str = ""
    """Why there are no people."""

    @property
    def gateway(self) -> str:
        """Address of the gateway itself."""
        return self.host.component

    def contact(self, name: EnsName) -> str:
        """The address that stands for an ENS name."""
        return f"{punycode_localpart(name, max_octets=MAX_LOCAL_BYTES).text}@{self.host.component}"


async def inhabited(host: XmppHost) -> XmppSide:
    """With its people, where it has any for us."""
    try:
        return XmppSide(host, await host.people())
    except NoPeople as error:
        return XmppSide(host, None, str(error))


class OwnXmppHost:
    """A Prosody in the demo's folder."""

    def __init__(self, folder: Path) -> None:
        """Puts its secret into `folder`."""
        self._prosody = Prosody(folder / "prosody")
        self._prosody.prepare()
        self.domain = self._prosody.domain
        self.component = self._prosody.component
        self.clients: tuple[str, int] | None = (self._prosody.host, self._prosody.c2s_port)
        self.table: Mapping[str, Any] = _table(
            folder, self.component, self._prosody.host, self._prosody.component_port, self._prosody.secret
        )

    async def start(self) -> None:
        """See XmppHost."""
        await self._prosody.start()

    async def people(self) -> XmppPeople:
        """See XmppHost."""
        password = secrets.token_urlsafe(9)
        for user in ("erin", "frank"):
            await self._prosody.register(user, password)
        erin = await self._prosody.connect("erin", password)
        frank = await self._prosody.connect("frank", password)

        async def connected() -> bool | None:
            try:
                return bool(await erin.info(self.component))
            except XmppFault:
                return None

        await until("the gateway as a component of Prosody", connected)
        return XmppPeople(erin, frank, password)

    async def close(self) -> None:
        """See XmppHost."""
        await self._prosody.close()


class OthersXmppHost:
    """One that the caller runs."""

    def __init__(self, given: GivenXmpp, folder: Path) -> None:
        """Puts the secret into `folder`."""
        self.component = given.component
        self.domain = given.component.partition(".")[2] or given.component
        self.clients: tuple[str, int] | None = None
        self.table: Mapping[str, Any] = _table(folder, given.component, given.host, given.port, given.secret)

    async def start(self) -> None:
        """See XmppHost: it runs already, and the gateway looks for it until it is there."""

    async def people(self) -> XmppPeople:
        """See XmppHost: a component's secret gives us no accounts."""
        raise NoPeople(f"nobody can be registered at {self.domain} by a component; use accounts of yours")

    async def close(self) -> None:
        """See XmppHost; it goes on."""


def _table(folder: Path, component: str, host: str, port: int, secret: str) -> Mapping[str, Any]:
    write_secret(folder / SECRET, secret + "\n")
    return {"component": component, "host": host, "port": port, "secret_file": SECRET}
