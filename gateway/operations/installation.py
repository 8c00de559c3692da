"""A new installation: one folder with gateway.toml, the seed and the keys, made once and never overwritten."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.custody.seed import create_seed
from gateway.ens.names import require_normal
from gateway.errors import ConfigError, InvalidName
from gateway.ids import EnsName
from gateway.operations.adapter_types import adapter_settings, registrations
from gateway.operations.secret_files import write_secret
from gateway.resolver.signer import create_signer
from gateway.sdk.adapter import NewKeys
from gateway.settings import load_settings

CONFIG, SEED, RELAY_KEY, SIGNER_KEY, DATABASE = "gateway.toml", "seed.key", "relay.key", "resolver.key", "gateway.db"
RETURN_PATH_KEY, VAPID_KEY = "return-path.key", "vapid.key"
MATRIX_REGISTRATION: Final = "matrix-registration.yaml"
XMPP_PROSODY, XMPP_EJABBERD = "xmpp-prosody.cfg.lua", "xmpp-ejabberd.yml"
REGISTRATIONS_OF: Final = {"matrix": (MATRIX_REGISTRATION,), "xmpp": (XMPP_PROSODY, XMPP_EJABBERD)}
"""Files for servers of the networks, made with the secrets that they hold."""
SECRETS_OF: Final = {
    "email": {"return_path_key_file": RETURN_PATH_KEY},
    "matrix": {"as_token_file": "matrix-as.token", "hs_token_file": "matrix-hs.token"},
    "xmpp": {"secret_file": "xmpp.secret"},
}
"""Settings of adapters that name files: 32 random bytes in hexadecimal each, made unless the answers name others."""
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Number of points of the curve of VAPID keys (FIPS 186, SP 800-186)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What an operator decides."""

    parent: str
    """ENS name under which names are issued."""
    public_url: str
    rpc_url: str
    chain_id: int = 1
    host: str = "127.0.0.1"
    port: int = 8080
    store_url: str = f"sqlite:///{DATABASE}"
    ens_registry: str | None = None
    resolver_address: str | None = None
    allow_private_gateways: bool = False
    claims: str = "closed"
    """Who may claim names: open, allow, token or closed (``subnames.policy``)."""
    adapters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    adapter_keys: Mapping[str, NewKeys] = field(default_factory=dict, repr=False)
    """Fresh keys of adapters, by their names: see `gateway.sdk.adapter.BringsKeys`."""


def create_installation(folder: Path, answers: Answers) -> Path:
    """Write configuration, seed and keys into `folder`; returns the path of the configuration.

    Raises ConfigError when there is one already, when the folder cannot be written, or when the answers do not make
    a valid configuration; then nothing is left behind that was not there before.
    """
    parent_name(answers.parent)
    try:
        return _create(folder, answers)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from error


def parent_name(text: str) -> EnsName:
    """The setting ens.parent as a name; raises ConfigError for what is no name in its normal form.

    Clients ask for names below the normal form only: another spelling in the file would be served to nobody.
    """
    try:
        return require_normal(text)
    except InvalidName as error:
        raise ConfigError(f'ens.parent: {error.detail} (example: parent = "gw.eth")') from None


def service_name(parent: EnsName) -> EnsName:
    """Name of our delivery service."""
    return EnsName(f"ds.{parent}")


def _create(folder: Path, answers: Answers) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = folder / CONFIG
    made = [file for files in SECRETS_OF.values() for file in files.values()]
    told = [file for files in REGISTRATIONS_OF.values() for file in files]
    keys = {name: text for each in answers.adapter_keys.values() for name, text in each.files.items()}
    ours = (CONFIG, SEED, RELAY_KEY, SIGNER_KEY, VAPID_KEY, *made, *told, *keys)
    present = [name for name in ours if (folder / name).exists()]
    if present:
        raise ConfigError(f"{folder}: has {', '.join(present)} already; an installation is never overwritten")
    write_secret(config, configuration(answers))  # providers put access keys into the addresses of their servers
    try:
        settings = load_settings(config, environ={})
        for name, table in settings.adapters.items():
            adapter_settings(name, table, folder)
    except ConfigError:
        config.unlink()
        raise
    create_seed(folder / SEED)
    create_relay_key(folder / RELAY_KEY)
    create_signer(folder / SIGNER_KEY)
    create_vapid_key(folder / VAPID_KEY)
    for name, table in answers.adapters.items():
        for key, file in SECRETS_OF.get(name, {}).items():
            if key not in table:
                write_secret(folder / file, secrets.token_hex(32) + "\n")
    for file, text in keys.items():
        write_secret(folder / file, text)
    for name in settings.adapters:
        if name in REGISTRATIONS_OF:
            texts = registrations(name, settings.adapters, base=folder, public_url=settings.server.public_url)
            for file, text in texts.items():
                write_secret(folder / file, text)
    return config


def create_relay_key(path: Path) -> None:
    """Fresh seeds of the delivery service's two pairs, in the form that the relay reads."""
    write_secret(
        path,
        "# Keys of the DM3 delivery service. Whoever has them reads who writes to whom.\n"
        f'encryption = "{secrets.token_hex(32)}"\nsigning = "{secrets.token_hex(32)}"\n',
    )


def create_vapid_key(path: Path) -> None:
    """A fresh private key of P-256 as one line of base64url: the form of web-push tools and of the reference."""
    scalar = secrets.randbelow(P256_ORDER - 1) + 1
    write_secret(path, base64.urlsafe_b64encode(scalar.to_bytes(32, "big")).decode().rstrip("=") + "\n")


def matrix_table(homeserver_url: str, server_name: str | None) -> dict[str, Any]:
    """``[adapters.matrix]`` for a homeserver; its name is the host in its address when it is not given."""
    name = server_name or urlsplit(homeserver_url).hostname
    return {"homeserver_url": homeserver_url, **({"server_name": name} if name else {})}


def xmpp_table(component: str, host: str | None, port: int | None) -> dict[str, Any]:
    """``[adapters.xmpp]`` for a component; where the server listens for it is the adapter's default when not given."""
    given = {"component": component, "host": host, "port": port}
    return {key: value for key, value in given.items() if value is not None}


def configuration(answers: Answers) -> str:
    """The text of gateway.toml."""
    tables: dict[str, dict[str, Any]] = {
        "server": {"host": answers.host, "port": answers.port, "public_url": answers.public_url},
        "store": {"url": answers.store_url},
        "chain": {
            "rpc_urls": [answers.rpc_url],
            "chain_id": answers.chain_id,
            "ens_registry": answers.ens_registry,
            "allow_private_gateways": answers.allow_private_gateways or None,
        },
        "ens": {
            "parent": answers.parent,
            "resolver_addresses": [answers.resolver_address] if answers.resolver_address else [],
            "signer_key_file": SIGNER_KEY,
        },
        "relay": {"key_file": RELAY_KEY},
        "custody": {"seed_file": SEED},
        "subnames": {"policy": answers.claims},
        "notifications": {"vapid_key_file": VAPID_KEY},
    }
    for name, values in answers.adapters.items():
        keys = answers.adapter_keys.get(name)
        tables[f"adapters.{name}"] = SECRETS_OF.get(name, {}) | dict(keys.settings if keys else {}) | dict(values)
    return "\n".join(_table(name, values) for name, values in tables.items())


def _table(name: str, values: Mapping[str, Any]) -> str:
    # A JSON string, number, boolean or array of those is also TOML.
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
    return "\n".join([f"[{name}]", *lines, ""])
