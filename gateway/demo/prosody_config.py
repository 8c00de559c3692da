"""The configuration of a Prosody for people who try something out on this machine, and its files of accounts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_OF_HOST: Final = (
    *("disco", "roster", "saslauth", "blocklist", "bookmarks", "carbons", "mam", "offline", "pep", "ping", "private"),
    *("smacks", "time", "vcard4", "vcard_legacy", "version"),
)
_PRIVILEGES: Final = {
    "roster": "both",
    "message": "outgoing",
    "presence": "roster",
    "iq": {
        "http://jabber.org/protocol/pubsub": "both",
        "http://jabber.org/protocol/pubsub#owner": "both",
    },
}


def prosody_config(
    *,
    host: str,
    domain: str,
    component: str,
    secret: str,
    component_port: int,
    c2s_port: int,
    http_port: int,
    upload: str,
    muc: str | None,
    privilege: bool,
    max_upload_size: int | None,
    data: Path,
    certificates: Path,
    log: Path,
    settings: Mapping[str, Any],
) -> str:
    """What prosody.cfg.lua holds; `host` is the address to listen at, the upload size is in bytes."""
    options: dict[str, Any] = {
        "run_as_root": True,
        "data_path": str(data),
        "log": {"info": str(log)},
        "certificates": str(certificates),
        "plugin_paths": ["/usr/local/lib/prosody/modules"],
        "interfaces": [host],
        "c2s_ports": [c2s_port],
        "c2s_direct_tls_ports": [],
        "component_interfaces": [host],
        "component_ports": [component_port],
        "http_interfaces": [host],
        "http_ports": [http_port],
        "https_ports": [],
        # It speaks with nobody but its users and its component.
        "modules_disabled": ["s2s", "s2s_auth_certs", "tls"],
        "modules_enabled": list(_OF_HOST),
        "c2s_require_encryption": False,
        "allow_unencrypted_plain_auth": True,
        "authentication": "internal_plain",
        "storage": "internal",
        "archive_expires_after": "never",
        "http_external_url": f"http://{host}:{http_port}/",
        "http_default_host": upload,
        "http_file_share_secret": secret,
        "http_file_share_size_limit": max_upload_size or 50_000_000,
        "http_file_share_daily_quota": 1_000_000_000,
        "component_secret": secret,
        **settings,
    }
    # The module tells every client of the host of privileges, of none for most of them.
    of_host = {"modules_enabled": ["privilege"], "privileged_entities": {component: _PRIVILEGES}} if privilege else {}
    of_component = {"modules_enabled": ["privilege"]} if privilege else {}
    parts = [
        *_options(options),
        f"VirtualHost {lua(domain)}",
        *_options(of_host),
        f"Component {lua(component)}",
        *_options(of_component),
        f'Component {lua(upload)} "http_file_share"',
    ]
    if muc is not None:
        parts += [f'Component {lua(muc)} "muc"', *_options({"modules_enabled": ["muc_mam"], "muc_room_locking": False})]
    return "\n".join(parts) + "\n"


def lua(value: Any) -> str:
    """A value as Lua 5.1 and later read it; TypeError for kinds that have no such thing."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return '"' + "".join(_byte(byte) for byte in value.encode()) + '"'
        case Mapping():
            return "{ " + "".join(f"[{lua(key)}] = {lua(each)}; " for key, each in value.items()) + "}"
        case list() | tuple():
            return "{ " + "".join(f"{lua(each)}; " for each in value) + "}"
        case _:
            raise TypeError(f"{type(value).__name__} cannot be written in Lua")


def account_file(data: Path, domain: str, user: str) -> Path:
    """Where the internal storage keeps an account: all but letters and digits of ASCII are written as ``%2d``."""
    return data / _stored(domain) / "accounts" / f"{_stored(user)}.dat"


def _options(options: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {lua(value)}" for name, value in options.items()]


def _byte(byte: int) -> str:
    return chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}"


def _stored(name: str) -> str:
    return re.sub(rb"[^0-9A-Za-z]", lambda found: b"%%%02x" % ord(found[0]), name.encode()).decode()
