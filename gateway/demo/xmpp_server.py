"""One XMPP server for people who try something out on this machine: what its process needs, whichever server it is."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from gateway.demo.ending import end, note
from gateway.demo.xmpp_user import XmppUser
from gateway.errors import ConfigError

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 60.0
LOG_LINES: Final = 25
KEPT: Final = "kept.json"
PORTS: Final = ("c2s", "component", "http")


class XmppServer(ABC):
    """One host with one external component (XEP-0114), on the loopback only, without TLS and without other servers.

    A folder that held a server before goes on with its data, its secret and its ports.
    """

    NAME: ClassVar[str]
    LOG: ClassVar[str]
    """File in the folder."""

    def __init__(
        self,
        folder: Path,
        *,
        domain: str = "localhost",
        component: str | None = None,
        muc: bool = False,
        privilege: bool = False,
        max_upload_size: int | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """`max_upload_size` is in bytes. `privilege` lets the component act for the users of the host (XEP-0356)."""
        self.folder = folder.absolute()
        self.domain = domain
        self.component = component or f"dm3.{domain}"
        """Domain of the external component."""
        self.upload = f"upload.{domain}"
        """Address of the upload service (XEP-0363)."""
        self.muc = f"muc.{domain}" if muc else None
        """Address of the room service (XEP-0045)."""
        self.privilege = privilege
        self.max_upload_size = max_upload_size
        self.settings = dict(settings or {})
        """Options of the server's configuration that replace ours; may be changed between starts."""
        self._secret = ""
        self._ports: dict[str, int] = {}
        self._reserved: list[socket.socket] = []
        self._process: asyncio.subprocess.Process | None = None
        self._users: list[XmppUser] = []

    @property
    def secret(self) -> str:
        """What the component proves to know; known after ``prepare``."""
        return self._secret

    @property
    def host(self) -> str:
        """Where all ports are: an address of the loopback."""
        return HOST

    @property
    def component_port(self) -> int:
        """For the external component; known after ``prepare``."""
        return self._ports["component"]

    @property
    def c2s_port(self) -> int:
        """For clients; known after ``prepare``."""
        return self._ports["c2s"]

    @property
    def http_port(self) -> int:
        """Where uploaded files are put and fetched; known after ``prepare``."""
        return self._ports["http"]

    @property
    def running(self) -> bool:
        """True while the process lives, frozen or not."""
        return self._process is not None and self._process.returncode is None

    def prepare(self) -> None:
        """Make the folder and choose secret and free ports, so that they can be told to others before the start."""
        if self._reserved:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = self.folder / KEPT
        known = json.loads(kept.read_text()) if kept.exists() else {}
        self._secret = known.get("secret") or secrets.token_hex(16)
        try:
            for name in PORTS:
                self._reserved.append(self._reserve(known.get("ports", {}).get(name, 0)))
        except BaseException:
            self._give_up_ports()
            raise
        self._ports = {name: bound.getsockname()[1] for name, bound in zip(PORTS, self._reserved, strict=True)}
        kept.touch(mode=0o600)
        kept.write_text(json.dumps({"secret": self._secret, "ports": self._ports}))

    async def start(self) -> None:
        """Return when all ports are open; at once when it runs already.

        Raises ConfigError when it is not installed or does not start, then with the log's last lines.
        """
        if self.running:
            return
        command, environment = self._command()
        self.prepare()
        self._write_config()
        clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("PYTHON")}
        with (self.folder / self.LOG).open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=clean | dict(environment),
                start_new_session=True,
            )
        try:
            note(self.folder, self._process)
            async with asyncio.timeout(START_SECONDS):
                for port in self._ports.values():
                    await self._open(port)
        except TimeoutError:
            await self.kill()
            raise self._fault(f"does not listen after {START_SECONDS:.0f} s") from None
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> None:
        """End it in order, also when it is frozen; nothing when it does not run. All data stays."""
        self.thaw()
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """kill -9."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Stop, and start with what the configuration is by now."""
        await self.stop()
        await self.start()

    def freeze(self) -> None:
        """SIGSTOP: its sockets stay open and nothing is answered; nothing when it does not run."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: go on; nothing when it was not frozen."""
        self._signal(signal.SIGCONT)

    async def close(self) -> None:
        """Stop, with all users that were connected here, and give up the ports. The data stays."""
        self.thaw()
        while self._users:
            await self._users.pop().close()
        await self.stop()
        self._give_up_ports()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self.close()

    def log(self, lines: int | None = None) -> str:
        """What it wrote so far, or the last lines of that."""
        written = (self.folder / self.LOG).read_text(errors="replace").splitlines()
        return "\n".join(written if lines is None else written[-lines:])

    def jid(self, user: str) -> str:
        """Bare address of a local part."""
        return f"{user}@{self.domain}"

    @abstractmethod
    async def register(self, user: str, password: str) -> None:
        """A new account; `user` is a local part in lower case. Raises XmppFault ``conflict`` when it is taken."""

    async def connect(self, user: str, password: str, *, available: bool = True, **options: Any) -> XmppUser:
        """A human with an account, connected; closed with this server. `options` are those of ``XmppUser``.

        Raises what ``XmppUser.connect`` does.
        """
        human = XmppUser(self.jid(user), password, host=HOST, port=self.c2s_port, **options)
        self._users.append(human)
        await human.connect(available=available)
        return human

    @abstractmethod
    def _command(self) -> tuple[Iterable[str], Mapping[str, str]]:
        """The program with its arguments, and its environment beside ours; ConfigError when it is not installed."""

    @abstractmethod
    def _write_config(self) -> None:
        """Into the folder."""

    def _fault(self, what: str) -> ConfigError:
        return ConfigError(f"{self.NAME} {what}; the end of {self.folder / self.LOG}:\n{self.log(LOG_LINES)}")

    async def _open(self, port: int) -> None:
        assert self._process is not None
        while True:
            if self._process.returncode is not None:
                raise self._fault(f"ended with code {self._process.returncode}")
            with suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.01)

    async def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            await end(self._process, how)
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            assert self._process is not None
            self._process.send_signal(number)

    def _reserve(self, port: int) -> socket.socket:
        """A socket that is bound and never listens: nobody else is given this port, and the server may listen on it."""
        bound = socket.socket()
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((HOST, port))
        except OSError as error:
            bound.close()
            raise ConfigError(f"{self.NAME} cannot have port {port} of {HOST}: {error.strerror}") from None
        return bound

    def _give_up_ports(self) -> None:
        while self._reserved:
            self._reserved.pop().close()
