"""The Matrix homeserver beside the demo's gateway: a Synapse of our own, or one that the caller gives."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import httpx2

from gateway.demo.matrix_http import CLIENT, MatrixFault, MatrixHttp
from gateway.demo.matrix_user import MatrixUser
from gateway.demo.registration_file import read_registration
from gateway.demo.synapse import Synapse
from gateway.errors import ConfigError
from gateway.ids import EnsName
from gateway.operations.installation import MATRIX_REGISTRATION
from gateway.operations.secret_files import write_secret
from gateway.sdk.addresses import matrix_localpart

GHOST_PREFIX: Final = "dm3_"
"""Local parts of Matrix users that stand for ENS names begin with it."""


@dataclass(frozen=True, slots=True)
class GivenHomeserver:
    """A homeserver of the caller's, which has read the registration file."""

    url: str
    registration: Path


@dataclass(frozen=True, slots=True)
class People:
    """The humans of the story, logged in; both have the same password."""

    alice: MatrixUser
    dave: MatrixUser
    password: str


class NoPeople(Exception):
    """Nobody can take part in the story; the text says why."""


class Homeserver(Protocol):
    """Where the people of the Matrix chapter live. All is known before the start; close it, whatever happened."""

    url: str
    """Of the client-server API."""
    server_name: str
    bot: str
    """Local part of the gateway's own user."""
    registration: Path
    """Known to the homeserver, or to be."""
    table: Mapping[str, Any]
    """``[adapters.matrix]`` for the gateway."""

    async def start(self) -> None:
        """Return when it answers, knowing the registration; raises ConfigError."""

    async def people(self) -> People:
        """Register and log in, once the gateway serves; raises NoPeople."""

    async def close(self) -> None:
        """Log out, and end what was started."""


@dataclass(frozen=True, slots=True)
class MatrixSide:
    """Matrix in the running world."""

    homeserver: Homeserver
    people: People | None
    reason: str = ""
    """Why there are no people."""

    @property
    def bot(self) -> str:
        """Matrix id of the gateway's own user."""
        return f"@{self.homeserver.bot}:{self.homeserver.server_name}"

    def ghost(self, name: EnsName) -> str:
        """The Matrix user who stands for an ENS name."""
        server = self.homeserver.server_name
        return f"@{matrix_localpart(name, server_name=server, prefix=GHOST_PREFIX).text}:{server}"


async def populated(homeserver: Homeserver) -> MatrixSide:
    """With its people, where it lets them in."""
    try:
        return MatrixSide(homeserver, await homeserver.people())
    except NoPeople as error:
        return MatrixSide(homeserver, None, str(error))


class OwnHomeserver:
    """A Synapse in the demo's folder, where the installation leaves the registration."""

    def __init__(self, folder: Path, gateway_url: str) -> None:
        self._synapse = Synapse(folder / "synapse")
        self._synapse.prepare()
        self.url = self._synapse.url
        self.server_name = self._synapse.server_name
        self.bot = "dm3"
        self.registration = folder.absolute() / MATRIX_REGISTRATION
        self.table: Mapping[str, Any] = {
            "homeserver_url": self.url,
            "server_name": self.server_name,
            "bot": self.bot,
            "url": gateway_url,
        }

    async def start(self) -> None:
        """See Homeserver; needs the registration to be written."""
        self._synapse.registrations.append(self.registration)
        await self._synapse.start()

    async def people(self) -> People:
        """See Homeserver."""
        password = secrets.token_urlsafe(9)
        return People(
            await self._synapse.register("alice", password), await self._synapse.register("dave", password), password
        )

    async def close(self) -> None:
        """See Homeserver."""
        await self._synapse.close()


class OthersHomeserver:
    """One that the caller runs: who the gateway is there, its registration says."""

    def __init__(self, given: GivenHomeserver, folder: Path, gateway_url: str) -> None:
        """Reads the registration and puts its tokens into `folder`; raises ConfigError."""
        self._known = read_registration(given.registration)
        self._gateway_url = gateway_url
        self._users: list[MatrixUser] = []
        self._folder = folder
        self.url = given.url.rstrip("/")
        self.server_name = self._known.server_name
        self.bot = self._known.bot
        self.registration = given.registration.absolute()
        for name, token in (("as", self._known.as_token), ("hs", self._known.hs_token)):
            write_secret(folder / f"given-{name}.token", token + "\n")
        self.table: Mapping[str, Any] = {
            "homeserver_url": self.url,
            "server_name": self.server_name,
            "bot": self.bot,
            "url": self._known.url,
            "as_token_file": "given-as.token",
            "hs_token_file": "given-hs.token",
        }

    async def start(self) -> None:
        """See Homeserver: look whether it knows us."""
        ours = read_registration(self._folder / MATRIX_REGISTRATION).id
        if self._known.id != ours:
            raise ConfigError(f"--matrix-registration: its id is {self._known.id}, and must be {ours}")
        user = f"@{self.bot}:{self.server_name}"
        try:
            found = (await self._ask("GET", f"{CLIENT}/account/whoami")).get("user_id")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ConfigError(f"--matrix-homeserver: {self.url} does not answer ({type(error).__name__})") from None
        except MatrixFault as fault:
            raise ConfigError(
                f"--matrix-homeserver: {self.url} does not know {self.registration}: {fault}"
                "; name it in its app_service_config_files and restart it"
            ) from None
        if found != user:
            raise ConfigError(f"--matrix-registration: the homeserver calls us {found}, the registration {user}")

    async def people(self) -> People:
        """See Homeserver: only where anybody may register, because a registration gives us no people but ghosts."""
        try:
            await self._ask("POST", f"/_matrix/client/v1/appservice/{self._known.id}/ping")
        except MatrixFault as fault:
            if fault.errcode != "M_UNRECOGNIZED":
                raise NoPeople(
                    f"the homeserver does not reach the gateway at {self._known.url}, as its registration says "
                    f"({fault}); this gateway is at {self._gateway_url} (see --gateway-port)"
                ) from None
        password, mark = secrets.token_urlsafe(9), secrets.token_hex(3)
        try:
            alice = await self._register(f"alice-{mark}", password)
            return People(alice, await self._register(f"dave-{mark}", password), password)
        except MatrixFault as fault:
            raise NoPeople(
                f"nobody can be registered at {self.url} ({fault}); with Synapse, enable_registration and "
                "enable_registration_without_verification allow it"
            ) from None

    async def close(self) -> None:
        """See Homeserver; it goes on, and so do the accounts."""
        for user in self._users:
            await user.close()

    async def _register(self, local: str, password: str) -> MatrixUser:
        """An account for the asking (client-server API, 5.7.3)."""
        http = MatrixHttp(self.url)
        body = {"auth": {"type": "m.login.dummy"}, "username": local, "password": password}
        try:
            user = MatrixUser.from_login(http, await http.call("POST", f"{CLIENT}/register", body))
        except BaseException:
            await http.close()
            raise
        self._users.append(user)
        return user

    async def _ask(self, method: str, path: str) -> Any:
        http = MatrixHttp(self.url, self._known.as_token)
        try:
            return await http.call(method, path)
        finally:
            await http.close()
