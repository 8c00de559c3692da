"""Writing names: who signs, what comes into being, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.demo.chain.accounts import Account, account
from gateway.demo.chain.artefacts import load_artefact
from gateway.demo.chain.ens import ZERO, EnsWorld, ccip_url
from gateway.demo.chain.evm import DevChain
from gateway.demo.chain.execution import Call
from gateway.demo.chain.failures import Reverted
from gateway.dm3.eth import address_bytes
from gateway.ens.names import namehash
from gateway.errors import NotFound
from gateway.ids import EnsName, EthAddress

NAME = EnsName("early.echo.eth")
UNICODE = EnsName("ξένος.echo.eth")
STRANGER = account("somebody not on this chain")


def read(chain: DevChain, contract: str, at: EthAddress, signature: str, *arguments: object) -> Any:
    """First value that a contract's function returns."""
    artefact = load_artefact(contract)
    return artefact.decode(signature, chain.call(Call(address_bytes(at), artefact.call(signature, *arguments))))[0]


class TestNames:
    def test_registering_makes_the_ancestors(self, ens: EnsWorld, people: Mapping[str, Account]) -> None:
        ens.register(NAME, people["echo"].address)
        assert ens.owner(NAME) == people["echo"].address
        assert ens.resolver(NAME) == ens.public_resolver
        for ancestor in ("eth", "echo.eth"):
            assert ens.owner(EnsName(ancestor)) == people["root"].address
            assert ens.resolver(EnsName(ancestor)) == ZERO

    def test_unknown_name(self, ens: EnsWorld) -> None:
        assert (ens.owner(NAME), ens.resolver(NAME)) == (ZERO, ZERO)

    def test_the_owner_of_the_parent_signs(self, ens: EnsWorld, chain: DevChain, people: Mapping[str, Account]) -> None:
        ens.register(EnsName("echo.eth"), people["echo"].address)
        ens.register(NAME)
        assert chain.head.transactions[0].sender == address_bytes(people["echo"].address)

    def test_below_a_strangers_name_nothing_can_be_registered(self, ens: EnsWorld) -> None:
        ens.register(EnsName("echo.eth"), STRANGER.address)
        with pytest.raises(NotFound, match=STRANGER.address):
            ens.register(NAME)

    def test_registering_again_changes_owner_and_resolver(self, ens: EnsWorld, people: Mapping[str, Account]) -> None:
        ens.register(NAME, people["echo"].address)
        ens.register(NAME, people["bob"].address, people["carol"].address)
        assert (ens.owner(NAME), ens.resolver(NAME)) == (people["bob"].address, people["carol"].address)

    def test_giving_away_and_repointing(self, ens: EnsWorld, people: Mapping[str, Account]) -> None:
        ens.register(NAME)
        ens.set_resolver(NAME, people["carol"].address)
        ens.set_owner(NAME, STRANGER.address)
        assert (ens.owner(NAME), ens.resolver(NAME)) == (STRANGER.address, people["carol"].address)


class TestRecords:
    @pytest.mark.parametrize("name", [NAME, UNICODE, EnsName("💩.echo.eth")])
    @pytest.mark.parametrize("value", ["", "data:application/json,%7B%7D", "Grüße 👋", "x" * 5000])
    def test_text(self, ens: EnsWorld, chain: DevChain, name: EnsName, value: str) -> None:
        ens.register(name)
        ens.set_text(name, "network.dm3.profile", value)
        text = read(
            chain, "PublicResolver", ens.public_resolver, "text(bytes32,string)", namehash(name), "network.dm3.profile"
        )
        assert text == value

    def test_addresses(self, ens: EnsWorld, chain: DevChain, people: Mapping[str, Account]) -> None:
        ens.register(NAME)
        ens.set_addr(NAME, people["echo"].address)
        ens.set_coin(NAME, 0, b"\x76\xa9\x14")
        resolver, node = ens.public_resolver, namehash(NAME)
        assert read(chain, "PublicResolver", resolver, "addr(bytes32,uint256)", node, 60) == address_bytes(
            people["echo"].address
        )
        assert read(chain, "PublicResolver", resolver, "addr(bytes32,uint256)", node, 0) == b"\x76\xa9\x14"

    def test_contenthash(self, ens: EnsWorld, chain: DevChain) -> None:
        ens.register(NAME)
        ens.set_contenthash(NAME, b"\xe3\1\1\x70")
        found = read(chain, "PublicResolver", ens.public_resolver, "contenthash(bytes32)", namehash(NAME))
        assert found == b"\xe3\1\1\x70"

    def test_the_owner_signs(self, ens: EnsWorld, chain: DevChain, people: Mapping[str, Account]) -> None:
        ens.register(NAME, people["echo"].address)
        ens.set_text(NAME, "url", "https://example")
        assert chain.head.transactions[0].sender == address_bytes(people["echo"].address)

    def test_primary_name(self, ens: EnsWorld, chain: DevChain, people: Mapping[str, Account]) -> None:
        echo = people["echo"].address
        ens.set_primary_name(echo, "echo.eth")
        node = namehash(EnsName(f"{echo[2:]}.addr.reverse"))
        assert read(chain, "PublicResolver", ens.public_resolver, "name(bytes32)", node) == "echo.eth"


class TestOffchainResolvers:
    def test_deployed_with_owner_urls_and_signers(
        self, ens: EnsWorld, chain: DevChain, people: Mapping[str, Account]
    ) -> None:
        owner, signer = people["parent-owner"].address, people["bob"].address
        resolver = ens.deploy_offchain_resolver([ccip_url("https://gw.example/")], [signer], owner)
        assert read(chain, "OffchainResolver", resolver, "owner()") == owner
        assert read(chain, "OffchainResolver", resolver, "signers(address)", signer) is True
        assert list(read(chain, "OffchainResolver", resolver, "urls()")) == [
            "https://gw.example/ccip/" + resolver + "/{data}.json?via={sender}"
        ]

    def test_a_strangers_resolver_is_paid_by_root(
        self, ens: EnsWorld, chain: DevChain, people: Mapping[str, Account]
    ) -> None:
        resolver = ens.deploy_offchain_resolver([], [], STRANGER.address)
        assert read(chain, "OffchainResolver", resolver, "owner()") == STRANGER.address
        assert chain.head.transactions[0].sender == address_bytes(people["root"].address)
        with pytest.raises(NotFound):
            ens.set_urls(resolver, [])

    def test_rotation(self, ens: EnsWorld, chain: DevChain, people: Mapping[str, Account]) -> None:
        old, new = people["bob"].address, people["carol"].address
        resolver = ens.deploy_offchain_resolver(["https://one/{sender}/{data}"], [old])
        ens.add_signer(resolver, new)
        ens.remove_signer(resolver, old)
        ens.set_urls(resolver, ["https://two/{resolver}/{data}", "https://three/{sender}/{data}"])
        trusted = [read(chain, "OffchainResolver", resolver, "signers(address)", each) for each in (old, new)]
        assert trusted == [False, True]
        assert list(read(chain, "OffchainResolver", resolver, "urls()")) == [
            "https://two/" + resolver + "/{data}",
            "https://three/{sender}/{data}",
        ]

    def test_what_the_contract_refuses_is_raised(self, ens: EnsWorld, people: Mapping[str, Account]) -> None:
        resolver = ens.deploy_offchain_resolver([], [])
        with pytest.raises(Reverted, match="no such signer"):
            ens.remove_signer(resolver, people["bob"].address)


def test_url_template_serves_all_clients() -> None:
    """{data} and {sender} both occur, else web3.py would post; the resolver stands in the path."""
    assert ccip_url("http://127.0.0.1:8080") == "http://127.0.0.1:8080/ccip/{resolver}/{data}.json?via={sender}"
