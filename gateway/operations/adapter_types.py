"""The adapters that are installed, as classes: what can be asked of one before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from gateway.errors import ConfigError
from gateway.ids import Network
from gateway.sdk.adapter import Adapter, BringsKeys, NewKeys, Registers
from gateway.settings import Settings, validate_section

ADAPTERS_GROUP: Final = "dm3_gateway.adapters"

Tables = Mapping[str, Mapping[str, Any]]
"""``[adapters.<name>]`` of the configuration, by name."""


def adapter_type(name: str) -> type[Adapter]:
    """The class behind a name, loaded with the libraries that it needs; raises ConfigError when it cannot be had."""
    known = {point.name: point for point in entry_points(group=ADAPTERS_GROUP)}
    if name not in known:
        raise ConfigError(f"adapters.{name}: no such adapter is installed (known: {', '.join(sorted(known))})")
    try:
        kind: type[Adapter] = known[name].load()
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"adapters.{name}: {error.name} is not installed; this does it: pip install 'dm3-gateway[{name}]'"
        ) from error
    return kind


def adapter_settings(name: str, table: Mapping[str, Any], base: Path) -> BaseModel:
    """One table, checked by the adapter's own model; `base` is the configuration's folder. Raises ConfigError."""
    return validate_section(adapter_type(name).Settings, table, where=f"adapters.{name}", base=base)


def new_keys(name: str, label: str = "") -> NewKeys:
    """Keys of a kind that only the adapter knows; none for most. Raises ConfigError as `adapter_type` does."""
    kind: object = adapter_type(name)
    return kind.new_keys(label) if isinstance(kind, BringsKeys) else NewKeys({}, {})


def make_adapters(settings: Settings, base: Path) -> dict[Network, Adapter]:
    """An adapter for each ``[adapters.<name>]`` table; ConfigError for a name that nobody provides."""
    made: dict[Network, Adapter] = {}
    for name, table in settings.adapters.items():
        kind = adapter_type(name)
        made[Network(name)] = kind(validate_section(kind.Settings, table, where=f"adapters.{name}", base=base))
    return made


def registrations(name: str, tables: Tables, *, base: Path, public_url: str) -> Mapping[str, str]:
    """The files by which a network's servers know the gateway, text by name: one for each kind of server.

    Raises ConfigError for an adapter that is not there, has no such file or is not configured, and what the adapter
    raises for secrets that it cannot read.
    """
    kind: object = adapter_type(name)
    if not isinstance(kind, Registers):
        raise ConfigError(f"adapters.{name}: servers of this network take no registration file")
    if name not in tables:
        raise ConfigError(f"adapters.{name}: the configuration has no such table, so this network is switched off")
    return kind.registrations(adapter_settings(name, tables[name], base), public_url)


def registration(name: str, tables: Tables, *, base: Path, public_url: str, file: str | None = None) -> str:
    """The text of one of them, which need not be named when there is no other; ConfigError also when it must be."""
    texts = registrations(name, tables, base=base, public_url=public_url)
    if file is None and len(texts) == 1:
        return next(iter(texts.values()))
    if file is None or file not in texts:
        raise ConfigError(f"adapters.{name}: name one of its files: {', '.join(texts)}")
    return texts[file]
