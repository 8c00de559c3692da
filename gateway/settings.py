"""The configuration: one TOML file, every key also as environment variable ``DM3_GATEWAY__SECTION__KEY``.

Unknown, missing and wrong keys stop the start with one line each: file, key, what was wrong, an example.
Relative paths are relative to the file they stand in.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, ValidationError, ValidationInfo

from gateway.admin_settings import AdminSettings
from gateway.errors import ConfigError
from gateway.issuance_settings import SubnamesSettings
from gateway.observability import HIDDEN
from gateway.operation_settings import OperationSettings
from gateway.registry_settings import EvmRegistry, HttpRegistry, RegistrySettings
from gateway.sections import Address, FilePath, Quorum, Section, WebAddress, web_address

ENV_PREFIX: Final = "DM3_GATEWAY__"
CONFIG_VARIABLE: Final = "DM3_GATEWAY_CONFIG"
DEFAULT_FILE: Final = "gateway.toml"
VAPID_SUBJECT: Final = r"^(mailto:[^\s@<>]{1,64}@|https://)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+$"
CONTACT: Final = r"^(mailto:[^\s@<>]{1,64}@[A-Za-z0-9.-]{1,253}|https://[!-~]{1,500})$"
MAINNET_ENS_REGISTRY: Final = "0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e"

Model = TypeVar("Model", bound=BaseModel)

_FAULTS: Final = {
    "missing": "is missing",
    "union_tag_not_found": 'needs a type: "http", "evm" or "alias"',
    "union_tag_invalid": 'has a type that is none of "http", "evm" and "alias"',
    "extra_forbidden": "is not a known key",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "mapping_type": "must be a table",
}
_SECRET_KEY: Final = re.compile(r"pass|secret|token|users|private|credential|authorization", re.IGNORECASE)
_USER_IN_URL: Final = re.compile(r"(?<=://)\S*@")
_SECRET_IN_QUERY: Final = re.compile(r"(?<=[?&])([^=&\s]*(?:pass|secret|token|key)[^=&\s]*)=[^&\s]*", re.IGNORECASE)


def _https_address(url: str) -> str:
    """A web address for what others must not read on its way: only this very machine may be reached without TLS."""
    parts = urlsplit(web_address(url))
    if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
        raise ValueError("must be an https address")
    return url


def _with_command(address: str | None, info: ValidationInfo) -> str | None:
    if bool(address) != bool(info.data.get("signer_command", ())):
        raise ValueError("goes together with signer_command")
    return address


def _store_url(url: str, info: ValidationInfo) -> str:
    kind, _, rest = url.partition("://")
    if kind == "sqlite" and rest.startswith("/") and len(rest) > 1:
        base: Path = (info.context or {}).get("base", Path())
        return f"sqlite:///{base / rest[1:]}"
    if kind in {"postgresql", "postgres"} and rest:
        return f"postgresql://{rest}"
    raise ValueError("must be sqlite:///file.db or postgresql://user@host/database")


class ServerSettings(Section):
    """``[server]``: the HTTP listener."""

    host: str = Field("127.0.0.1", description="address to listen on", examples=["127.0.0.1"])
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one", examples=[8080])
    public_url: WebAddress = Field(description="how the world reaches this server", examples=["https://gw.example"])
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="addresses or networks of reverse proxies, whose X-Forwarded-For is believed",
        examples=[["127.0.0.1"]],
    )
    security_contact: Annotated[str, Field(pattern=CONTACT)] | None = Field(
        None,
        description="where weaknesses are reported, mailto: or https:; published as /.well-known/security.txt",
        examples=["mailto:security@gw.example"],
    )
    drain_seconds: float = Field(
        0,
        ge=0,
        le=300,
        description="seconds for which a node that is told to stop still serves, while /readyz sends balancers away",
        examples=[15],
    )


class StoreSettings(Section):
    """``[store]``: the one database, store and queue at once."""

    url: Annotated[str, AfterValidator(_store_url)] = Field(
        "sqlite:///gateway.db",
        description="sqlite:///file.db (one node) or postgresql://user@host/database (several nodes)",
        examples=["sqlite:///gateway.db"],
    )
    redis_url: Annotated[str, Field(pattern=r"^(redis|rediss|unix)://\S+$")] | None = Field(
        None,
        description="Redis through which several nodes push to each other's sockets; nothing is kept there",
        examples=["redis://127.0.0.1:6379/0"],
    )


class ChainSettings(Section):
    """``[chain]``: where ENS and what people hold are read."""

    rpc_urls: tuple[WebAddress, ...] = Field(
        min_length=1,
        description="Ethereum JSON-RPC servers, asked in this order",
        examples=[["https://eth.example"]],
    )
    quorum: Quorum = Field(
        1, ge=1, description="servers that must give the same answer; above 1 all of rpc_urls are asked at once"
    )
    decision_block: Literal["finalized", "safe", "latest"] = Field(
        "finalized", description="block at which the balances, tokens and stakes of senders are read"
    )
    chain_id: int = Field(1, ge=1, description="chain id that these servers must report", examples=[1])
    ens_registry: Address = Field(MAINNET_ENS_REGISTRY, description="the ENS registry contract")
    allow_private_gateways: bool = Field(
        False, description="let records point to loopback, private addresses and plain http; for trials only"
    )
    ipfs_gateways: tuple[WebAddress, ...] = Field((), description="HTTP gateways for ipfs:// records, tried in order")


class EnsSettings(Section):
    """``[ens]``: the names we issue and the resolver endpoint that serves them."""

    parent: str = Field(description="ENS name under which this gateway issues names", examples=["gw.eth"])
    resolver_addresses: tuple[Address, ...] = Field(
        (), description="resolver contracts whose look-ups this gateway answers", examples=[["0x" + "12" * 20]]
    )
    signer_key_file: FilePath = Field(Path("resolver.key"), description="key that signs resolver answers")
    signer_command: tuple[str, ...] = Field(
        (),
        description="program that signs instead of the key file, with its arguments: digest in, signature out",
        examples=[["/usr/local/bin/kms-sign", "resolver"]],
    )
    signer_address: Annotated[Address | None, AfterValidator(_with_command)] = Field(
        None, description="address of the key that signer_command signs with", examples=["0x" + "12" * 20]
    )
    signer_timeout_seconds: float = Field(5.0, gt=0, le=60, description="longest wait for signer_command")
    signer_at_once: int = Field(8, ge=1, le=256, description="runs of signer_command at one time")
    answer_ttl: int = Field(300, ge=10, le=3600, description="seconds for which a signed answer is valid")
    registries: tuple[RegistrySettings, ...] = Field(
        (), max_length=16, description="registries elsewhere whose names are served below ours, asked in this order"
    )
    batch_gateway: bool = Field(
        False, description="serve a batch gateway (ENSIP-21), which fetches for others from public addresses"
    )
    batch_calls_per_minute: int = Field(
        120, ge=0, description="calls of one network address to the batch gateway, on average; 0 sets no limit"
    )


class StakeSettings(Section):
    """``[relay.stake]``: the contract in which senders deposit, and who hears of those that send spam."""

    contract: Address | None = Field(
        None, description="contract that recipients may ask a deposit in", examples=["0x" + "12" * 20]
    )
    view: str = Field(
        "stakeOf(address)",
        pattern=r"^[A-Za-z_$][A-Za-z0-9_$]{0,63}\(address\)$",
        description="its function that returns an address's deposit as uint256",
    )
    report_url: Annotated[str, AfterValidator(_https_address)] | None = Field(
        None,
        description="where signed reports of spam are sent; https, or http on this machine",
        examples=["https://stake.example/reports"],
    )


class RelaySettings(Section):
    """``[relay]``: the DM3 delivery service."""

    message_ttl_days: int = Field(30, ge=1, le=3650, description="days that an envelope waits to be picked up")
    size_limit: int = Field(20_000_000, ge=10_000, le=100_000_000, description="bytes of the largest envelope")
    require_verified_sender: bool = Field(True, description="refuse envelopes whose sender cannot be checked")
    key_file: FilePath = Field(Path("relay.key"), description="encryption and signing key of the delivery service")
    mailbox_messages: int = Field(10_000, ge=1, description="envelopes that may wait for one name")
    mailbox_bytes: int = Field(500_000_000, ge=10_000, description="bytes that may wait for one name")
    sender_messages: int = Field(1_000, ge=1, description="envelopes of one verified sender at one address")
    sender_bytes: int = Field(200_000_000, ge=10_000, description="bytes of one verified sender at one address")
    when_chain_is_down: Literal["quarantine", "refuse"] = Field(
        "quarantine",
        description="what becomes of mail whose sender a recipient's rules cannot judge: message requests, or -32002",
    )
    uniform_refusals: bool = Field(
        False, description="answer every refusal alike, so that nobody learns who is here and what they block"
    )
    calls_per_minute: int = Field(
        6_000, ge=0, description="JSON-RPC calls of one network address, on average; 0 sets no limit"
    )
    log_ins_per_minute: int = Field(
        60, ge=0, description="log-ins and registrations of one network address, on average; 0 sets no limit"
    )
    forward: bool = Field(False, description="forward layers for others (dm3_forward, privacy routing)")
    forward_max_delay_seconds: int = Field(
        3600, ge=0, le=86_400, description="longest random wait that a layer may ask for"
    )
    forward_max_waiting: int = Field(10_000, ge=1, le=1_000_000, description="layers that may wait to be forwarded")
    forward_max_waiting_bytes: int = Field(
        1_000_000_000, ge=1_000_000, description="bytes of the layers that may wait to be forwarded, all together"
    )
    route: tuple[str, ...] = Field(
        (),
        max_length=4,
        description="relays that messages of bridged people go through before the recipient's delivery service",
        examples=[["ds.one.eth", "ds.two.eth"]],
    )
    route_required: bool = Field(
        True, description="fail a message whose relays do not forward it; false sends it straight instead"
    )
    route_max_delay_seconds: int = Field(
        0, ge=0, le=86_400, description="longest random wait that each relay of the route is asked for"
    )
    stake: StakeSettings = Field(default_factory=dict, validate_default=True, description="deposits of senders")


class CustodySettings(Section):
    """``[custody]``: keys of bridged people."""

    seed_file: FilePath = Field(Path("seed.key"), description="master seed; back it up")


class NotificationSettings(Section):
    """``[notifications]``: telling people by mail or web push that a message waits for them."""

    vapid_key_file: FilePath | None = Field(
        None, description="key that names this server to push services; absent: no web push"
    )
    vapid_subject: Annotated[str, Field(pattern=VAPID_SUBJECT)] | None = Field(
        None,
        description="whom push services may write to about our pushes, mailto: or https:; absent: from public_url",
        examples=["mailto:operator@gw.example"],
    )
    delay_seconds: int = Field(
        60, ge=0, le=86_400, description="seconds that a message waits for pick-up before its recipient is told"
    )
    min_interval_seconds: int = Field(
        300, ge=0, le=604_800, description="shortest time between two notifications of one person by one channel"
    )


class Settings(Section):
    """The whole file. ``[adapters.<name>]`` tables are checked by the adapters themselves."""

    server: ServerSettings
    store: StoreSettings = Field(default_factory=dict, validate_default=True)
    chain: ChainSettings
    ens: EnsSettings
    relay: RelaySettings = Field(default_factory=dict, validate_default=True)
    custody: CustodySettings = Field(default_factory=dict, validate_default=True)
    subnames: SubnamesSettings = Field(default_factory=dict, validate_default=True)
    notifications: NotificationSettings = Field(default_factory=dict, validate_default=True)
    operation: OperationSettings = Field(default_factory=dict, validate_default=True)
    admin: AdminSettings = Field(default_factory=dict, validate_default=True)
    adapters: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict, description="one table per foreign network")


def find_config(explicit: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the file is: ``--config``, then ``$DM3_GATEWAY_CONFIG``, then ``./gateway.toml``."""
    named = explicit or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    path = named or Path(DEFAULT_FILE)
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such file; `dm3-gateway init` writes one, --config or ${CONFIG_VARIABLE} names another"
        )
    return path


def load_settings(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read and check the file and the environment; raises ConfigError with one line per fault."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    content = _merge(content, _from_environment(environ))
    context = {"base": path.resolve().parent}
    try:
        return Settings.model_validate(content, context=context)
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, str(path), Settings))) from error


def validate_section(model: type[Model], values: Mapping[str, Any], *, where: str, base: Path) -> Model:
    """Check one adapter's table with the adapter's own model; raises ConfigError as `load_settings` does."""
    try:
        return model.model_validate(dict(values), context={"base": base})
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, where, model))) from error


def shown(settings: Settings) -> dict[str, Any]:
    """The settings as they may be printed.

    Hidden are values under telling keys at any depth, user and password in URLs, and what follows the host in the
    URLs of RPC servers, of registries and of the receiver of reports, where providers put their access keys.
    """
    values: dict[str, Any] = settings.model_dump(mode="json")
    values["chain"]["rpc_urls"] = [_host_only(url) for url in settings.chain.rpc_urls]
    for registry, table in zip(settings.ens.registries, values["ens"]["registries"], strict=True):
        match registry:
            case HttpRegistry(urls=urls):
                table["urls"] = [_host_only(url) for url in urls]
            case EvmRegistry(rpc_urls=urls):
                table["rpc_urls"] = [_host_only(url) for url in urls]
    if settings.relay.stake.report_url is not None:
        values["relay"]["stake"]["report_url"] = _host_only(settings.relay.stake.report_url)
    values["adapters"] = _without_secrets(values["adapters"])
    return {section: _without_users(table) for section, table in values.items()}


def _host_only(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" + (f"/{HIDDEN}" if parts.path.strip("/") or parts.query else "")


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: HIDDEN if _SECRET_KEY.search(key) else _without_secrets(each) for key, each in value.items()}
    return [_without_secrets(each) for each in value] if isinstance(value, list | tuple) else value


def _without_users(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_users(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_users(each) for each in value]
    if not isinstance(value, str):
        return value
    return _SECRET_IN_QUERY.sub(rf"\1={HIDDEN}", _USER_IN_URL.sub(f"{HIDDEN}@", value))


def explain(error: ValidationError, where: str, model: type[BaseModel]) -> list[str]:
    """One line per fault: file, key, what was wrong, an example. Values are not repeated: they may be secrets."""
    lines = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        key = ".".join(str(part) for part in fault["loc"])
        what = _FAULTS.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        example = _example(model, tuple(fault["loc"]))
        lines.append(f"{where}: {key}: {what}" + (f" (example: {example})" if example else ""))
    return lines


def _example(model: type[BaseModel], path: tuple[int | str, ...]) -> str:
    for index, part in enumerate(path):
        field = model.model_fields.get(str(part))
        if field is None:
            return ""
        kind = field.annotation
        if index + 1 < len(path) and isinstance(kind, type) and issubclass(kind, BaseModel):
            model = kind
            continue
        examples = field.examples or ([] if field.is_required() or field.default in (None, ()) else [field.default])
        return f"{part} = {json.dumps(examples[0], default=str)}" if examples else ""
    return ""


def _from_environment(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for variable, text in environ.items():
        if not variable.startswith(ENV_PREFIX):
            continue
        parts = [part.lower() for part in variable.removeprefix(ENV_PREFIX).split("__")]
        if len(parts) < 2 or not all(parts):
            raise ConfigError(f"${variable}: must be {ENV_PREFIX}SECTION__KEY")
        table: dict[str, Any] = found
        for part in parts[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigError(f"${variable}: another variable gives {part} a value, so it can hold no keys")
        if parts[-1] in table:
            raise ConfigError(f"${variable}: another variable gives {parts[-1]} a value or keys")
        table[parts[-1]] = _value(text)
    return found


def _value(text: str) -> Any:
    """Lists, numbers and booleans are written as JSON; all else is a string as it stands."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, list | bool | int | float) else text


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`; a value below that should be a table stays as it is, for the check to name it."""
    merged = dict(below)
    for key, value in above.items():
        mine = merged.get(key, {})
        if not isinstance(value, Mapping):
            merged[key] = value
        elif isinstance(mine, Mapping):
            merged[key] = _merge(mine, value)
    return merged
