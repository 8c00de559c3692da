"""What the tables of the configuration are made of: their common form, and the kinds of values in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    base: Path = (info.context or {}).get("base", Path())
    return base / path.expanduser()


def web_address(url: str) -> str:
    """A base URL without query and without the slash at its end; raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a web address such as https://gw.example, without query")
    return url.rstrip("/")


def _at_most_the_servers(count: int, info: ValidationInfo) -> int:
    servers = len(set(info.data.get("rpc_urls", ())))
    if servers and count > servers:
        raise ValueError(f"must be at most the number of different rpc_urls, which is {servers}")
    return count


FilePath = Annotated[Path, AfterValidator(_beside_the_file)]
WebAddress = Annotated[str, AfterValidator(web_address)]
Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
Quorum = Annotated[int, AfterValidator(_at_most_the_servers)]
"""Stands in a table behind its ``rpc_urls``."""


class Section(BaseModel):
    """A table of the file: nothing unknown, nothing changed after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)
