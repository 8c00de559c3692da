"""Writing the local chain's ENS: names, records, and offchain resolvers.

All methods are synchronous (some tens of milliseconds each); a coroutine calls them through ``asyncio.to_thread``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gateway.demo.chain.accounts import Account
from gateway.demo.chain.artefacts import Artefact, load_artefact
from gateway.demo.chain.evm import DevChain, created_address
from gateway.demo.chain.execution import Call
from gateway.demo.chain.genesis import REGISTRY
from gateway.demo.chain.wallet import send
from gateway.dm3.eth import address_bytes
from gateway.ens.names import labelhash, namehash
from gateway.errors import NotFound
from gateway.ids import EnsName, EthAddress

ZERO: Final = EthAddress("0x" + "00" * 20)
COIN_ETH: Final = 60


def ccip_url(base_url: str) -> str:
    """ERC-3668 URL template for a gateway at ``base_url``, to be given to ``deploy_offchain_resolver``.

    It names the resolver literally, since a universal resolver puts its own address where {sender} stands (ENSIP-22);
    {sender} is there all the same because web3.py uses GET for a URL that has both placeholders only.
    """
    return base_url.rstrip("/") + "/ccip/{resolver}/{data}.json?via={sender}"


class EnsWorld:
    """The names of a local chain; signs with the chain's funded accounts."""

    def __init__(self, chain: DevChain, accounts: Mapping[str, Account]) -> None:
        """Deploys a public resolver for names whose records lie on chain."""
        self._chain = chain
        self._root = accounts["root"]
        self._by_address = {account.address: account for account in accounts.values()}
        self._registry = load_artefact("ENSRegistry")
        self._resolver = load_artefact("PublicResolver")
        self._offchain = load_artefact("OffchainResolver")
        self.registry: EthAddress = REGISTRY
        self.public_resolver: EthAddress = self._deploy(self._root, self._resolver, REGISTRY)

    # --- names --------------------------------------------------------------------------------------------------

    def register(self, name: EnsName, owner: EthAddress | None = None, resolver: EthAddress | None = None) -> None:
        """Create the name, or set owner and resolver of an existing one; missing ancestors come into being.

        ``owner`` defaults to the account ``root``, ``resolver`` to the public resolver. The owner of the nearest
        existing ancestor signs; raises NotFound when that is not one of this chain's accounts.
        """
        label, _, parent = EnsName(name).partition(".")
        if parent and self.owner(EnsName(parent)) == ZERO:
            self.register(EnsName(parent), resolver=ZERO)
        holder = self._account(self.owner(EnsName(parent)))
        call = self._registry.call(
            "setSubnodeRecord(bytes32,bytes32,address,address,uint64)",
            namehash(EnsName(parent)),
            labelhash(label),
            owner or self._root.address,
            resolver or self.public_resolver,
            0,
        )
        send(self._chain, holder, REGISTRY, call)

    def owner(self, name: EnsName) -> EthAddress:
        """Owner in the registry; the zero address when the name does not exist."""
        return self._registry_read("owner(bytes32)", name)

    def resolver(self, name: EnsName) -> EthAddress:
        """Resolver in the registry; the zero address when there is none."""
        return self._registry_read("resolver(bytes32)", name)

    def set_resolver(self, name: EnsName, resolver: EthAddress) -> None:
        """Point an existing name to another resolver."""
        call = self._registry.call("setResolver(bytes32,address)", namehash(name), resolver)
        send(self._chain, self._account(self.owner(name)), REGISTRY, call)

    def set_owner(self, name: EnsName, owner: EthAddress) -> None:
        """Give an existing name away."""
        call = self._registry.call("setOwner(bytes32,address)", namehash(name), owner)
        send(self._chain, self._account(self.owner(name)), REGISTRY, call)

    # --- records of names on the public resolver ----------------------------------------------------------------

    def set_text(self, name: EnsName, key: str, value: str) -> None:
        """ENSIP-5 text record."""
        self._write(name, "setText(bytes32,string,string)", key, value)

    def set_addr(self, name: EnsName, address: EthAddress) -> None:
        """EIP-137 address record."""
        self.set_coin(name, COIN_ETH, address_bytes(address))

    def set_coin(self, name: EnsName, coin_type: int, value: bytes) -> None:
        """ENSIP-9 address record: raw bytes of the coin."""
        self._write(name, "setAddr(bytes32,uint256,bytes)", coin_type, value)

    def set_contenthash(self, name: EnsName, value: bytes) -> None:
        """ENSIP-7 content hash."""
        self._write(name, "setContenthash(bytes32,bytes)", value)

    def set_primary_name(self, address: EthAddress, name: str) -> None:
        """ENSIP-19 reverse record of an Ethereum address; what it says counts only if the name agrees."""
        pointer = EnsName(f"{address[2:].lower()}.addr.reverse")
        self.register(pointer)
        self._write(pointer, "setName(bytes32,string)", name)

    # --- offchain resolvers -------------------------------------------------------------------------------------

    def deploy_offchain_resolver(
        self, urls: Sequence[str], signers: Iterable[EthAddress], owner: EthAddress | None = None
    ) -> EthAddress:
        """A new OffchainResolver; ``{resolver}`` in a URL becomes its address (see ``ccip_url``).

        ``owner`` (default ``root``) may change URLs and signers later and pays for the deployment when it is one of
        the chain's accounts.
        """
        payer = self._by_address.get(owner or ZERO, self._root)
        address = created_address(payer.address, self._chain.nonce(payer.address))
        filled = [url.replace("{resolver}", address) for url in urls]
        return self._deploy(payer, self._offchain, owner or payer.address, filled, list(signers))

    def set_urls(self, resolver: EthAddress, urls: Sequence[str]) -> None:
        """Replace the URLs of an offchain resolver; ``{resolver}`` as above."""
        filled = [url.replace("{resolver}", resolver) for url in urls]
        self._administer(resolver, "setURLs(string[])", filled)

    def add_signer(self, resolver: EthAddress, signer: EthAddress) -> None:
        """Have an offchain resolver believe another signer."""
        self._administer(resolver, "addSigner(address)", signer)

    def remove_signer(self, resolver: EthAddress, signer: EthAddress) -> None:
        """Have an offchain resolver believe a signer no more."""
        self._administer(resolver, "removeSigner(address)", signer)

    # --- below --------------------------------------------------------------------------------------------------

    def _write(self, name: EnsName, signature: str, *arguments: object) -> None:
        call = self._resolver.call(signature, namehash(name), *arguments)
        send(self._chain, self._account(self.owner(name)), self.resolver(name), call)

    def _administer(self, resolver: EthAddress, signature: str, *arguments: object) -> None:
        question = Call(address_bytes(resolver), self._offchain.call("owner()"))
        (owner,) = self._offchain.decode("owner()", self._chain.call(question))
        send(self._chain, self._account(EthAddress(owner)), resolver, self._offchain.call(signature, *arguments))

    def _registry_read(self, signature: str, name: EnsName) -> EthAddress:
        question = Call(address_bytes(REGISTRY), self._registry.call(signature, namehash(name)))
        (address,) = self._registry.decode(signature, self._chain.call(question))
        return EthAddress(address)

    def _deploy(self, payer: Account, artefact: Artefact, *arguments: object) -> EthAddress:
        created = send(self._chain, payer, None, artefact.creation_code(*arguments)).created
        if created is None:
            raise NotFound(f"{artefact.name} was not created")
        return EthAddress("0x" + created.hex())

    def _account(self, address: EthAddress) -> Account:
        try:
            return self._by_address[address]
        except KeyError:
            raise NotFound(f"{address} is no account of this chain, so nobody here can sign for it") from None
