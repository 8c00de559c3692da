"""All checks of one homeserver at the same time, each with its own end; none changes anything there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from adapters.matrix.client import CLIENT, Homeserver
from adapters.matrix.errors import HomeserverDown, HomeserverRefused
from adapters.matrix.ids import GHOST_PREFIX
from adapters.matrix.registration import FILE, ID
from adapters.matrix.settings import MatrixSettings
from gateway.sdk import Finding
from gateway.sdk.examination import Check, all_at_once, bad, good, poor

CHECK_SECONDS: Final = 8.0
ASK_SECONDS: Final = 6.0
EXAMPLE: Final = f"{GHOST_PREFIX}doctor.eth"
"""Local part of a ghost whom nobody has written to."""
_RELOAD: Final = "name the registration file in app_service_config_files of homeserver.yaml, and restart the homeserver"


async def examine_homeserver(
    settings: MatrixSettings, public_url: str, as_token: str, registration: str
) -> tuple[Finding, ...]:
    """``registration`` is the text of the file as it should be."""
    homeserver = Homeserver(settings.homeserver_url, as_token, timeout=ASK_SECONDS)
    await homeserver.open()
    subject = _Subject(settings, settings.url or public_url, homeserver, registration)
    checks: dict[str, Check] = {
        "versions": subject.versions,
        "whoami": subject.whoami,
        "ping": subject.ping,
        "ghosts": subject.ghosts,
        "exclusive": subject.exclusive,
        "registration": subject.registered,
        "media": subject.media,
    }
    try:
        return await all_at_once(checks, CHECK_SECONDS)
    finally:
        await homeserver.close()


class _Subject:
    """One homeserver, a method for each check."""

    def __init__(self, settings: MatrixSettings, url: str, homeserver: Homeserver, registration: str) -> None:
        self._settings = settings
        self._url = url
        self._homeserver = homeserver
        self._registration = registration

    async def versions(self) -> list[Finding]:
        """Whether a homeserver is there."""
        fix = "see that it runs, and put homeserver_url right"
        try:
            answer = await self._homeserver.call("GET", "/_matrix/client/versions")
        except (HomeserverDown, HomeserverRefused) as error:
            return [bad("versions", f"{self._settings.homeserver_url} does not answer: {_said(error)}", fix)]
        known = answer.get("versions")
        if not isinstance(known, list) or not known:
            return [bad("versions", f"{self._settings.homeserver_url} is no homeserver", fix)]
        return [good("versions", f"{self._settings.homeserver_url} speaks Matrix up to {known[-1]!s:.20}")]

    async def whoami(self) -> list[Finding]:
        """Whether it takes our token, and whom it takes us for."""
        bot = f"@{self._settings.bot}:{self._settings.server_name}"
        try:
            answer = await self._homeserver.call("GET", f"{CLIENT}/account/whoami")
        except (HomeserverDown, HomeserverRefused) as error:
            return [bad("whoami", f"the homeserver does not take our token: {_said(error)}", _RELOAD)]
        if answer.get("user_id") != bot:
            found = f"the homeserver takes us for {answer.get('user_id')!s:.100}, and the settings say {bot}"
            return [bad("whoami", found, "put server_name and bot right, write the registration anew, and reload it")]
        return [good("whoami", f"the homeserver takes us for {bot}")]

    async def ping(self) -> list[Finding]:
        """Whether the homeserver reaches us by the address of the registration (Application Service API, "Pinging")."""
        fix = f"start the gateway, and see that the homeserver reaches {self._url} (adapters.matrix.url names another)"
        try:
            answer = await self._homeserver.call("POST", f"/_matrix/client/v1/appservice/{ID}/ping", {})
        except HomeserverRefused as refusal:
            if refusal.errcode == "M_UNRECOGNIZED":
                return [poor("ping", "the homeserver is too old to be asked whether it reaches us", "update it (1.7)")]
            return [bad("ping", f"the homeserver does not reach us: {_said(refusal)}", fix)]
        except HomeserverDown as error:
            return [bad("ping", f"the homeserver does not reach us: {_said(error)}", fix)]
        return [good("ping", f"the homeserver reaches us, within {answer.get('duration_ms')!s:.10} ms")]

    async def ghosts(self) -> list[Finding]:
        """Whether the namespace that it has read covers the users who stand for ENS names."""
        ghost = f"@{EXAMPLE}:{self._settings.server_name}"
        try:
            await self._homeserver.call("GET", f"{CLIENT}/account/whoami", query={"user_id": ghost})
        except HomeserverRefused as refusal:
            # Synapse says the same code for a user of ours who is not there yet.
            if "masquerade" in refusal.error or "namespace" in refusal.error:
                fix = f"write the registration anew (dm3-gateway registration matrix) and {_RELOAD}"
                return [bad("ghosts", f"{ghost} is not in the namespace that the homeserver knows", fix)]
        except HomeserverDown as error:
            return [bad("ghosts", f"it could not be asked: {_said(error)}", "see whoami")]
        return [good("ghosts", f"users such as {ghost} are ours")]

    async def exclusive(self) -> list[Finding]:
        """Whether somebody else could register the name of one of them."""
        query = {"username": EXAMPLE}
        try:
            await self._homeserver.call("GET", f"{CLIENT}/register/available", query=query)
        except HomeserverRefused as refusal:
            if refusal.errcode == "M_EXCLUSIVE":
                return [good("exclusive", "nobody else can register their names")]
            if refusal.errcode == "M_FORBIDDEN":
                return [good("exclusive", "nobody can register at all")]
            return [poor("exclusive", f"the homeserver does not tell: {_said(refusal)}", "see the registration file")]
        except HomeserverDown as error:
            return [bad("exclusive", f"it could not be asked: {_said(error)}", "see versions")]
        fix = f"set exclusive: true in the registration (dm3-gateway registration matrix) and {_RELOAD}"
        return [bad("exclusive", f"anybody can register {EXAMPLE} and be taken for doctor.eth", fix)]

    async def registered(self) -> list[Finding]:
        """Whether the file that `init` wrote beside the tokens is what the settings make of it now."""
        path = self._settings.as_token_file.parent / FILE
        fix = f"dm3-gateway registration matrix --output {path}, let the homeserver have it, and restart that"
        try:
            text = await asyncio.to_thread(Path.read_text, path, "utf-8")
        except (OSError, UnicodeDecodeError):
            return [poor("registration", f"there is no {path} to compare with", fix)]
        if text != self._registration:
            return [bad("registration", f"{path} is not what the settings make of it", fix)]
        return [good("registration", f"{path} is up to date")]

    async def media(self) -> list[Finding]:
        """Whether files of the size that we carry over can be uploaded."""
        for way in ("/_matrix/client/v1/media/config", "/_matrix/media/v3/config"):
            try:
                answer = await self._homeserver.call("GET", way)
                break
            except HomeserverRefused:
                continue
            except HomeserverDown as error:
                return [bad("media", f"it could not be asked: {_said(error)}", "see versions")]
        else:
            return [good("media", "the homeserver does not tell how large files may be")]
        size, ours = answer.get("m.upload.size"), self._settings.max_media_bytes
        if isinstance(size, int) and size < ours:
            fix = f"raise max_upload_size there, or set max_media_bytes = {size}: larger files become links"
            return [poor("media", f"files have at most {size} bytes there, and max_media_bytes is {ours}", fix)]
        return [good("media", f"files of {ours} bytes can be uploaded")]


def _said(error: HomeserverDown | HomeserverRefused) -> str:
    if isinstance(error, HomeserverRefused):
        return f"{error.status} {error.errcode} {error.error}".strip()[:200]
    return error.detail[:200]
