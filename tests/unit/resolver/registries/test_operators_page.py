"""What the page for operators shows of registries is read, and works, as it says."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from pydantic import TypeAdapter

from gateway.ids import EnsName, Network
from gateway.registry_settings import AliasRegistry, EvmRegistry, HttpRegistry, RegistrySettings
from gateway.resolver.registries.document import read_document
from gateway.resolver.registries.opening import zones
from tests.unit.resolver.registries.documents import NOW, REGISTRY

PAGE = (Path(__file__).parents[4] / "deploy" / "README.md").read_text(encoding="utf-8")
PART = PAGE[PAGE.index("## Names that live elsewhere") :].partition("\n## ")[0]


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PART, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_of_each_kind_is_a_right_configuration() -> None:
    kind: TypeAdapter[RegistrySettings] = TypeAdapter(RegistrySettings)
    tables = [kind.validate_python(table) for table in tomllib.loads(block("toml"))["ens"]["registries"]]
    assert [type(table) for table in tables] == [HttpRegistry, EvmRegistry, AliasRegistry]
    found = zones(tables, EnsName("gw.eth"), [Network("matrix")])
    assert [each.target for each in found] == ["example.eth", "example.eth", "gno"]


def test_the_document_is_one_that_is_believed_when_signed_as_the_page_says() -> None:
    document = json.loads(block("json"))
    del document["signature"]
    names: dict[str, Any] = {
        "json": json,
        "Account": Account,
        "encode_defunct": encode_defunct,
        "key": REGISTRY.key,
        "unsigned": document,
    }
    exec(block("python"), names)
    reading = read_document(json.dumps(document).encode(), EnsName("alice.example.eth"), NOW, [REGISTRY.address])
    assert reading.records is not None
    assert reading.records.texts == {"url": "https://example.org"}
    assert reading.expires == NOW + 300_000


def test_the_defaults_are_those_of_the_table() -> None:
    for key, default in re.findall(r"^\| `(\w+)` \| `(\d+)`", PART, re.MULTILINE):
        assert str(HttpRegistry.model_fields[key].default).removesuffix(".0") == default, key
