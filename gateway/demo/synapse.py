"""A Matrix homeserver of its own for the demo and the tests: one process of Synapse, in a folder.

Synapse is not installed with us, because it wants other versions of the same libraries; `deploy/synapse.sh` puts it
into an environment of its own.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import secrets
import shutil
import signal
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import httpx2

from gateway.demo.ending import end, note
from gateway.demo.matrix_http import MatrixFault, MatrixHttp
from gateway.demo.matrix_user import MatrixUser
from gateway.demo.synapse_config import LOG_CONFIG, homeserver_config, log_config
from gateway.errors import ConfigError

VARIABLE: Final = "DM3_SYNAPSE_PYTHON"
PLACE: Final = Path(".cache", "synapse", "bin", "python")
MISSING: Final = (
    "Synapse is not installed; this does it: "
    "python3 -m venv .cache/synapse && .cache/synapse/bin/pip install -r deploy/synapse.lock"
)
HOST: Final = "127.0.0.1"
START_SECONDS: Final = 60.0
LOG_LINES: Final = 25
CONFIG: Final = "homeserver.yaml"
LOG: Final = "synapse.log"
KEPT: Final = "kept.json"


def find_synapse() -> Path | None:
    """The interpreter that can import Synapse: $DM3_SYNAPSE_PYTHON, else in .cache of this project or folder."""
    given = os.environ.get(VARIABLE)
    if given:
        found = shutil.which(given)
        return Path(found) if found else None
    for root in (Path(__file__).parents[2], Path.cwd()):
        program = root / PLACE
        if program.exists() and program.with_name("synapse_homeserver").exists():
            return program
    return None


class Synapse:
    """One homeserver on SQLite. A folder that held one before goes on with its data, its keys and its port."""

    def __init__(
        self,
        folder: Path,
        *,
        server_name: str = "localhost",
        registrations: Iterable[Path] = (),
        encryption: bool = False,
        max_upload_size: int | None = None,
        settings: Mapping[str, Any] | None = None,
        program: Path | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.server_name = server_name
        self.registrations = list(registrations)
        """Files of application services; may be changed between starts."""
        self.settings = dict(settings or {})
        """Top-level keys of homeserver.yaml that replace ours; may be changed between starts."""
        self._encryption = encryption
        self._max_upload_size = max_upload_size
        self._program = program
        self._reserved: socket.socket | None = None
        self._port = 0
        self._secrets: dict[str, str] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._users: list[MatrixUser] = []

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1; known after ``prepare``."""
        return self._port

    @property
    def url(self) -> str:
        """Base address of the client-server API; known after ``prepare``."""
        return f"http://{HOST}:{self.port}"

    @property
    def running(self) -> bool:
        """True while the process lives."""
        return self._process is not None and self._process.returncode is None

    def prepare(self) -> None:
        """Make the folder and choose keys and a free port, so that ``url`` can be told to others before the start."""
        if self._reserved is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = self.folder / KEPT
        known = json.loads(kept.read_text()) if kept.exists() else {}
        self._reserved = _reserve(known.get("port", 0))
        self._port = self._reserved.getsockname()[1]
        self._secrets = known.get("secrets") or _new_secrets()
        kept.touch(mode=0o600)
        kept.write_text(json.dumps({"port": self._port, "secrets": self._secrets}))

    async def start(self) -> None:
        """Return when it answers; at once when it runs already.

        Raises ConfigError when it is not installed or does not start, then with the log's last lines.
        """
        if self.running:
            return
        program = self._program or find_synapse()
        if program is None:
            raise ConfigError(MISSING)
        self.prepare()
        self._write_config()
        # The caller's proxies would stand between the homeserver and its application services.
        clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("PYTHON")}
        with (self.folder / LOG).open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(str(program), "-m", "synapse.app.homeserver", "-c", str(self.folder / CONFIG)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=clean,
                start_new_session=True,
            )
        try:
            note(self.folder, self._process)
            async with asyncio.timeout(START_SECONDS):
                await self._answering()
        except TimeoutError:
            await self.kill()
            raise self._fault(f"does not answer after {START_SECONDS:.0f} s") from None
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> None:
        """End it in order; nothing when it does not run. Port, data and users stay for the next ``start``."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """kill -9."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Stop, and start with what the configuration is by now."""
        await self.stop()
        await self.start()

    async def close(self) -> None:
        """Stop, with all users that were made here, and give up the port. The data stays."""
        while self._users:
            await self._users.pop().close()
        await self.stop()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

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
        written = (self.folder / LOG).read_text(errors="replace").splitlines()
        return "\n".join(written if lines is None else written[-lines:])

    async def register(self, user: str, password: str, *, admin: bool = False) -> MatrixUser:
        """A new human, logged in; closed with this homeserver. Raises MatrixFault when the name is taken.

        `user` is the local part. By the shared-secret registration of Synapse's administration interface.
        """
        http = MatrixHttp(self.url)
        try:
            url = "/_synapse/admin/v1/register"
            nonce = (await http.call("GET", url))["nonce"]
            signed = "\0".join((nonce, user, password, "admin" if admin else "notadmin"))
            key = self._secrets["registration_shared_secret"].encode()
            mac = hmac.new(key, signed.encode(), hashlib.sha1).hexdigest()
            body = {"nonce": nonce, "username": user, "password": password, "admin": admin, "mac": mac}
            made = MatrixUser.from_login(http, await http.call("POST", url, body))
        except BaseException:
            await http.close()
            raise
        self._users.append(made)
        return made

    async def _answering(self) -> None:
        assert self._process is not None
        http = MatrixHttp(self.url)
        try:
            while True:
                if self._process.returncode is not None:
                    raise self._fault(f"ended with code {self._process.returncode}")
                with suppress(httpx2.TransportError, MatrixFault):
                    await http.call("GET", "/_matrix/client/versions")
                    return
                await asyncio.sleep(0.02)
        finally:
            await http.close()

    async def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            await end(self._process, how)
            self._process = None

    def _fault(self, what: str) -> ConfigError:
        return ConfigError(f"Synapse {what}; the end of {self.folder / LOG}:\n{self.log(LOG_LINES)}")

    def _write_config(self) -> None:
        config = homeserver_config(
            folder=self.folder,
            server_name=self.server_name,
            host=HOST,
            port=self.port,
            secrets=self._secrets,
            registrations=self.registrations,
            encryption=self._encryption,
            max_upload_size=self._max_upload_size,
        )
        # JSON is YAML.
        (self.folder / LOG_CONFIG).write_text(json.dumps(log_config(), indent=2))
        (self.folder / CONFIG).write_text(json.dumps(config | self.settings, indent=2))


def _new_secrets() -> dict[str, str]:
    seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    names = ("registration_shared_secret", "macaroon_secret_key", "form_secret")
    return {"signing_key": f"ed25519 a_demo {seed}"} | {name: secrets.token_hex(32) for name in names}


def _reserve(port: int) -> socket.socket:
    """A socket that is bound and never listens: nobody else is given this port, and the homeserver may listen on it."""
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
    except OSError as error:
        bound.close()
        raise ConfigError(f"Synapse cannot have port {port} of {HOST}: {error.strerror}") from None
    return bound
