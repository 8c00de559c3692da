"""An XMPP server of its own for the demo and the tests: one process of Prosody, in a folder.

Prosody comes with the system. `deploy/test.sh` and `deploy/demo.sh` install it with apt when they are run by root.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final

from gateway.demo.prosody_config import account_file, lua, prosody_config
from gateway.demo.xmpp_server import HOST, XmppServer
from gateway.demo.xmpp_stanza import XmppFault
from gateway.errors import ConfigError

PROGRAM: Final = "prosody"
FOLDERS: Final = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/usr/sbin")
MISSING: Final = "Prosody is not installed; this does it: apt-get install prosody prosody-modules"
MODULES: Final = (Path("/usr/lib/prosody/modules"), Path("/usr/local/lib/prosody/modules"))
PRIVILEGE: Final = "mod_privilege"
PRIVILEGE_MISSING: Final = (
    "Prosody's mod_privilege (XEP-0356) is not installed; this does it: apt-get install prosody-modules"
)
CONFIG: Final = "prosody.cfg.lua"
DATA: Final = "data"
CERTIFICATES: Final = "certs"
"""Empty, but looked for."""


def find_prosody() -> Path | None:
    """The program, on the PATH or where systems put it."""
    found = shutil.which(PROGRAM, path=os.pathsep.join((os.environ.get("PATH", ""), *FOLDERS)))
    return Path(found) if found else None


def find_privilege() -> bool:
    """True when XEP-0356 is there, which is a community module."""
    return any((folder / PRIVILEGE).exists() for folder in MODULES)


class Prosody(XmppServer):
    """Settings are global options; strings, numbers, booleans, lists and mappings become those of Lua."""

    NAME: ClassVar = "Prosody"
    LOG: ClassVar = "prosody.log"

    async def register(self, user: str, password: str) -> None:
        """See XmppServer; also while it does not run, because it reads accounts at each login."""
        place = account_file(self.folder / DATA, self.domain, user)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            place.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            raise XmppFault("conflict", f"{self.jid(user)} is taken") from None
        # Renamed into place, for Prosody may be reading.
        new = place.with_suffix(".new")
        new.write_text(f"return {lua({'password': password})};\n")
        new.replace(place)

    def _command(self) -> tuple[Iterable[str], Mapping[str, str]]:
        program = find_prosody()
        if program is None:
            raise ConfigError(MISSING)
        if self.privilege and not find_privilege():
            raise ConfigError(PRIVILEGE_MISSING)
        # --root: stay who we are, also as root; the package's own user could not read the folder.
        return (str(program), "--root", "-F", "--config", str(self.folder / CONFIG)), {}

    def _write_config(self) -> None:
        config = prosody_config(
            host=HOST,
            domain=self.domain,
            component=self.component,
            secret=self.secret,
            component_port=self.component_port,
            c2s_port=self.c2s_port,
            http_port=self.http_port,
            upload=self.upload,
            muc=self.muc,
            privilege=self.privilege,
            max_upload_size=self.max_upload_size,
            data=self.folder / DATA,
            certificates=self.folder / CERTIFICATES,
            log=self.folder / self.LOG,
            settings=self.settings,
        )
        (self.folder / CERTIFICATES).mkdir(exist_ok=True)
        place = self.folder / CONFIG
        place.touch(mode=0o600)
        place.write_text(config)
