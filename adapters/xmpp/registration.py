"""What a server has to know of the gateway (XEP-0114, section 2): a component and its secret, as two servers write it.

Both files can be included as they are: Prosody reads an included file on its own, ejabberd joins lists of listeners.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from typing import Final

from adapters.xmpp.settings import XmppSettings

PROSODY: Final = "xmpp-prosody.cfg.lua"
EJABBERD: Final = "xmpp-ejabberd.yml"
USUAL_PORT: Final = 5347
"""Where Prosody listens for components, on the loopback, unless it is told otherwise."""


def registrations(settings: XmppSettings, secret: str) -> Mapping[str, str]:
    """The texts by the names of their files; both hold the secret."""
    return {PROSODY: _prosody(settings, secret), EJABBERD: _ejabberd(settings, secret)}


def _prosody(settings: XmppSettings, secret: str) -> str:
    lines = [
        "-- The DM3 gateway as a component. It holds their secret: nobody but Prosody may read it.",
        '-- In prosody.cfg.lua: Include "/path/to/this/file"',
        *_listening(settings),
        f"Component {_lua(settings.component)}",
        f"    component_secret = {_lua(secret)}",
    ]
    return "\n".join(lines) + "\n"


def _listening(settings: XmppSettings) -> list[str]:
    """What else belongs above the first VirtualHost; in words, for other components may be there already."""
    options = []
    if settings.port != USUAL_PORT:
        options.append(f"component_ports = {{ {settings.port} }}")
    if not _is_loopback(settings.host):
        options.append('component_interfaces = { "*" }')
    if not options:
        return []
    return [
        "-- Above the first VirtualHost there, unless it listens so already:",
        *(f"--   {each}" for each in options),
    ]


def _ejabberd(settings: XmppSettings, secret: str) -> str:
    lines = [
        "# The DM3 gateway as a component. It holds their secret: nobody but ejabberd may read it.",
        '# In ejabberd.yml: include_config_file: ["/path/to/this/file"]',
        "listen:",
        f"  - port: {settings.port}",
        f"    ip: {json.dumps('127.0.0.1' if _is_loopback(settings.host) else '::')}",
        "    module: ejabberd_service",
        "    hosts:",
        f"      {json.dumps(settings.component)}:",
        f"        password: {json.dumps(secret)}",
    ]
    return "\n".join(lines) + "\n"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _lua(text: str) -> str:
    """A string of Lua 5.1 and later: bytes that are not plain are written by their numbers."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}" for byte in text.encode())
    return '"' + "".join(plain) + '"'
