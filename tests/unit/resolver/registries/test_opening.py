"""Tables of the configuration become registries, or a line that says what is wrong with them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.ens.chain import Chain
from gateway.errors import ConfigError
from gateway.ids import EnsName, EthAddress, Network
from gateway.registry_settings import AliasRegistry, RegistrySettings
from gateway.resolver.registries.opening import Ground, Zone, open_registries, zones
from gateway.settings import Settings, load_settings, shown

PARENT = EnsName("gw.eth")
NETWORKS = [Network("matrix")]
SIGNER = "0x" + "12" * 20
HTTP = f'type = "http"\nzone = "web"\nurls = ["https://r.example/v1/{{name}}?key=sesame"]\nsigners = ["{SIGNER}"]\n'
EVM = (
    f'type = "evm"\nzone = "base"\nrpc_urls = ["https://rpc.example/sesame"]\nchain_id = 8453\nresolver = "{SIGNER}"\n'
)
ALIAS = 'type = "alias"\nzone = "gno"\ntarget = "gno"\n'


def load(folder: Path, *tables: str) -> Settings:
    path = folder / "gateway.toml"
    path.write_text(
        '[server]\npublic_url = "https://gw.example/"\n[chain]\nrpc_urls = ["https://eth.example"]\n'
        '[ens]\nparent = "gw.eth"\n' + "".join(f"[[ens.registries]]\n{table}" for table in tables)
    )
    return load_settings(path, {})


def test_tables_are_read_in_their_order(tmp_path: Path) -> None:
    registries = load(tmp_path, HTTP, EVM, ALIAS).ens.registries
    assert [each.type for each in registries] == ["http", "evm", "alias"]
    assert [each.ttl for each in registries] == [60, 60, 60]
    assert zones(registries, PARENT, NETWORKS) == [
        Zone(EnsName("web.gw.eth"), EnsName("web.gw.eth")),
        Zone(EnsName("base.gw.eth"), EnsName("base.gw.eth")),
        Zone(EnsName("gno.gw.eth"), EnsName("gno")),
    ]


@pytest.mark.parametrize(
    ("table", "line"),
    [
        (ALIAS + "urls = []\n", "alias.urls: is not a known key"),
        (ALIAS.replace('target = "gno"\n', ""), "alias.target: is missing"),
        (ALIAS.replace('type = "alias"\n', ""), 'needs a type: "http", "evm" or "alias"'),
        (ALIAS.replace('"alias"', '"dns"'), 'has a type that is none of "http", "evm" and "alias"'),
        (ALIAS + "ttl = 5\n", "alias.ttl: Input should be greater than or equal to 10"),
        (ALIAS + "ttl = 301\n", "alias.ttl: Input should be less than or equal to 300"),
        (HTTP.replace("{name}", "name"), "http.urls.0: must be a web address with {name} once behind its host"),
        (HTTP.replace("r.example", "{name}.example"), "http.urls.0: must be a web address"),
        (HTTP.replace("https:", "ftp:"), "http.urls.0: must be a web address"),
        (HTTP.replace("r.example", "user@r.example"), "http.urls.0: must be a web address"),
        (HTTP.replace(f'["{SIGNER}"]', "[]"), "http.signers: Tuple should have at least 1 item"),
        (EVM + f'registry = "{SIGNER}"\n', "evm: needs either registry or resolver"),
        (EVM.replace("resolver =", "# resolver ="), "evm: needs either registry or resolver"),
        (EVM + "quorum = 2\n", "evm.quorum: must be at most the number of different rpc_urls, which is 1"),
    ],
)
def test_a_wrong_table_is_one_line(tmp_path: Path, table: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, table)
    first = caught.value.detail.splitlines()[0]
    assert first.startswith(f"{tmp_path / 'gateway.toml'}: ens.registries.0")
    assert line in first
    assert "sesame" not in caught.value.detail


def test_access_keys_are_not_shown(tmp_path: Path) -> None:
    table = shown(load(tmp_path, HTTP, EVM, ALIAS))["ens"]["registries"]
    assert table[0]["urls"] == ["https://r.example/[hidden]"]
    assert table[1]["rpc_urls"] == ["https://rpc.example/[hidden]"]
    assert table[2]["target"] == "gno"


@pytest.mark.parametrize(
    ("zone", "target", "reason"),
    [
        ("gno", "gw.eth", "target: leads back"),
        ("gno", "gno.gw.eth", "target: leads back"),
        ("gno", "other.gw.eth", "target: leads back"),
        ("gno", "Example.eth", "target: the name is not in its normal form"),
        ("gno", "a..eth", "target:"),
        ("Gno", "example.eth", "zone: the name is not in its normal form"),
        ("gw.eth", "example.eth", "zone: must be a name below"),
        ("matrix", "example.eth", "zone: must be a name below"),
        ("example.org.matrix", "example.eth", "zone: must be a name below"),
        ("matrix.gw.eth", "example.eth", "zone: must be a name below"),
    ],
)
def test_zones_that_cannot_be(zone: str, target: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"ens.registries.1.{reason}"):
        zones([alias(), alias(zone, target)], PARENT, NETWORKS)


def test_a_zone_may_be_written_in_full_and_lie_deeper() -> None:
    found = zones([alias("gno.gw.eth"), alias("a.b"), alias("ξένος", "eth")], PARENT, NETWORKS)
    assert [each.zone for each in found] == ["gno.gw.eth", "a.b.gw.eth", "ξένος.gw.eth"]


def alias(zone: str = "gno", target: str = "gno") -> AliasRegistry:
    return AliasRegistry(type="alias", zone=zone, target=target)


async def test_what_cannot_be_used_is_told_before_the_start(tmp_path: Path) -> None:
    wrong: list[RegistrySettings] = [
        *load(tmp_path, HTTP.replace(SIGNER, "0x5AaEb6053F3E94C9b9A09f33669435E7Ef1BeAed")).ens.registries,
        *load(tmp_path, EVM.replace(SIGNER, "0x5AaEb6053F3E94C9b9A09f33669435E7Ef1BeAed")).ens.registries,
        *load(tmp_path, HTTP.replace("https://r.example", "https://169.254.169.254")).ens.registries,
        *load(tmp_path, HTTP.replace("https://r.example", "https://0x7f.1")).ens.registries,
    ]
    for table in wrong:
        async with AsyncExitStack() as closing:
            with pytest.raises(ConfigError, match=r"ens.registries.0"):
                open_registries([table], NETWORKS, ground(), closing)
    async with AsyncExitStack() as closing:
        found = open_registries(load(tmp_path, HTTP, EVM, ALIAS).ens.registries, NETWORKS, ground(), closing)
        assert found.covers(EnsName("alice.base.gw.eth"))
        assert not found.covers(EnsName("alice.gw.eth"))


def ground() -> Ground:
    return Ground(
        parent=PARENT,
        resolvers=[],
        chain=Chain(["http://127.0.0.1:1"], 1),
        ens_registry=EthAddress(SIGNER),
        allow_private_gateways=False,
        clock=lambda: 0,
    )
