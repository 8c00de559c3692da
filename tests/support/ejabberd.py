"""A real ejabberd for tests, run without an init system, a node name or an administrator."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

import httpx2

from gateway.demo.xmpp_server import HOST, XmppServer
from gateway.demo.xmpp_stanza import XmppFault
from gateway.errors import ConfigError
from tests.support.require import require

MISSING: Final = "ejabberd is not installed (apt-get install ejabberd)"
LIBRARIES: Final = ("/usr/lib/*", "/usr/lib", "/usr/local/lib", "/opt/*/lib")
CONFIG: Final = "ejabberd.yml"
PLAIN_MODULES: Final = (
    *("mod_adhoc", "mod_blocking", "mod_caps", "mod_carboncopy", "mod_disco", "mod_http_api", "mod_last"),
    *("mod_offline", "mod_ping", "mod_privacy", "mod_private", "mod_stream_mgmt", "mod_time", "mod_vcard_xupdate"),
    "mod_version",
)


def find_ejabberd() -> Path | None:
    """The folder of Erlang libraries that holds ejabberd, when there is an Erlang too."""
    if shutil.which("erl") is None:
        return None
    places = (found for pattern in LIBRARIES for found in Path("/").glob(f"{pattern[1:]}/ejabberd-*/ebin/ejabberd.app"))
    application = next(places, None)
    return None if application is None else application.parents[2]


class Ejabberd(XmppServer):
    """Settings are top-level keys of ejabberd.yml."""

    NAME: ClassVar = "ejabberd"
    LOG: ClassVar = "ejabberd.log"

    async def register(self, user: str, password: str) -> None:
        """See XmppServer; only while it runs."""
        account = {"user": user, "host": self.domain, "password": password}
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
            answer = await http.post(f"http://{HOST}:{self.http_port}/api/register", json=account)
        if answer.status_code == 409:
            raise XmppFault("conflict", f"{self.jid(user)} is taken")
        answer.raise_for_status()

    def _command(self) -> tuple[Iterable[str], Mapping[str, str]]:
        libraries = find_ejabberd()
        if libraries is None:
            raise ConfigError(MISSING)
        # Without a node name there is no port mapper and no cookie.
        command = ("erl", "-noinput", "-mnesia", "dir", f'"{self.folder / "mnesia"}"', "-s", "ejabberd")
        return command, {
            "ERL_LIBS": str(libraries),
            "EJABBERD_CONFIG_PATH": str(self.folder / CONFIG),
            "EJABBERD_LOG_PATH": str(self.folder / self.LOG),
            "ERL_CRASH_DUMP_BYTES": "0",
            "HOME": str(self.folder),
        }

    def _write_config(self) -> None:
        place = self.folder / CONFIG
        place.touch(mode=0o600)
        # JSON is YAML.
        place.write_text(json.dumps(self._config() | self.settings, indent=2))

    def _config(self) -> dict[str, Any]:
        return {
            "hosts": [self.domain],
            "loglevel": "info",
            "log_rotate_count": 0,
            "auth_method": "internal",
            "auth_password_format": "plain",
            "acl": {
                "local": {"user_regexp": ""},
                "component": {"server": self.component},
            },
            "access_rules": {"privileged": [{"allow": "component"}], "nobody": [{"deny": "all"}]},
            "s2s_access": "nobody",
            "listen": self._listeners(),
            "api_permissions": {
                "loopback": {"who": [{"ip": "127.0.0.1/8"}], "what": ["register", "unregister", "status"]}
            },
            "modules": self._modules(),
        }

    def _listeners(self) -> list[dict[str, Any]]:
        return [
            {
                "port": self.c2s_port,
                "ip": HOST,
                "module": "ejabberd_c2s",
                "max_stanza_size": 262144,
                "starttls": False,
                "shaper": "none",
            },
            {
                "port": self.component_port,
                "ip": HOST,
                "module": "ejabberd_service",
                "max_stanza_size": 524288,
                "shaper_rule": "none",
                "hosts": {self.component: {"password": self.secret}},
            },
            {
                "port": self.http_port,
                "ip": HOST,
                "module": "ejabberd_http",
                "request_handlers": {"/upload": "mod_http_upload", "/api": "mod_http_api"},
            },
        ]

    def _modules(self) -> dict[str, Any]:
        modules: dict[str, Any] = {
            **{name: {} for name in PLAIN_MODULES},
            "mod_roster": {"versioning": True},
            "mod_vcard": {"search": False},
            "mod_mam": {"default": "always", "assume_mam_usage": True},
            "mod_pubsub": {"plugins": ["flat", "pep"]},
            "mod_http_upload": {
                "host": self.upload,
                "docroot": str(self.folder / "upload"),
                "put_url": f"http://{HOST}:{self.http_port}/upload",
                "access": "all",
                "max_size": self.max_upload_size or 50_000_000,
            },
        }
        if self.muc is not None:
            modules["mod_muc"] = {"host": self.muc, "default_room_options": {"mam": True}}
        if self.privilege:
            modules["mod_privilege"] = {
                "roster": {"both": "privileged"},
                "message": {"outgoing": "privileged"},
                "presence": {"managed_entity": "privileged", "roster": "privileged"},
            }
        return modules


@asynccontextmanager
async def ejabberd_server(folder: Path, *, start: bool = True, **options: Any) -> AsyncIterator[Ejabberd]:
    """A server that listens, or that only has its ports without `start`; ended afterwards.

    `options` are those of ``XmppServer``. Skips when ejabberd is not installed, or fails (see ``require``).
    """
    require(find_ejabberd(), MISSING)
    server = Ejabberd(folder, **options)
    try:
        server.prepare()
        if start:
            await server.start()
        yield server
    finally:
        await server.close()
