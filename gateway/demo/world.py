"""The demo's world: the chain with its names, the gateway, its people, all on the loopback of this machine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from gateway.app import Gateway
from gateway.demo.folder import DemoFolder
from gateway.demo.ground import Ground, found_parent, future_resolver, given_ground, own_ground, settle
from gateway.demo.homeserver import MatrixSide
from gateway.demo.mail import DOMAIN as MAIL_DOMAIN
from gateway.demo.mail import MailServer
from gateway.demo.options import DemoOptions
from gateway.demo.peers import Peers
from gateway.demo.teller import check
from gateway.demo.xmpp_side import XmppSide
from gateway.dm3.eth import address_bytes, parse_address
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens
from gateway.ens.names import namehash
from gateway.ens.profiles import Profiles
from gateway.errors import ConfigError
from gateway.ids import EnsName, EthAddress
from gateway.lifecycle import now_ms
from gateway.operations.adapter_types import make_adapters
from gateway.operations.dm3_client import Dm3Client
from gateway.operations.echo import Echo
from gateway.operations.installation import Answers, create_installation
from gateway.resolver.signer import load_signer
from gateway.settings import Settings, load_settings
from gateway.store.migrate import upgrade
from gateway.store.names import NameRow, PutName
from gateway.web.server import HttpServer, listen

PARENT: Final = EnsName("gw.eth")
SAMPLE: Final = EnsName(f"sample.{PARENT}")
BITCOIN: Final = 0
BASE: Final = 0x80000000 | 8453
"""Coin types of ENSIP-9 and ENSIP-11."""
EMAIL_DOMAIN: Final = "gw.example"
HOST: Final = "127.0.0.1"
OPERATORS: Final = "admin.token"
"""File with what lets in to the operator pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that runs."""

    folder: Path
    settings: Settings
    ground: Ground
    resolver: EthAddress
    resolver_signer: EthAddress
    gateway: Gateway
    ens: Ens
    """A client's own way to ENS, not the gateway's."""
    profiles: Profiles
    native: Dm3Client
    echo: Dm3Client
    """One wallet with all the echo names."""
    mail: MailServer
    smtp_port: int
    """Of the gateway; 0 without e-mail."""
    matrix: MatrixSide | None
    xmpp: XmppSide | None
    http: httpx2.AsyncClient
    admin_url: str
    """Of the operator pages."""
    admin_token: str

    @property
    def gateway_url(self) -> str:
        """Where the gateway's pages and interfaces are."""
        return self.settings.server.public_url


@asynccontextmanager
async def running_world(options: DemoOptions) -> AsyncIterator[World]:
    """Start everything in order; ends it in the opposite order, whatever happens."""
    async with AsyncExitStack() as stack:
        stack.enter_context(await asyncio.to_thread(DemoFolder, options.folder))
        bound = _listen(options.gateway_port, usual=8080)
        stack.callback(bound.close)
        ground = await _ground(stack, options)
        mail = MailServer(options.folder / "mail")
        await mail.start()
        stack.push_async_callback(mail.stop)
        port = bound.getsockname()[1]
        peers = await stack.enter_async_context(Peers(options, _url(port)))
        desk = stack.enter_context(_listen(None, usual=8081))
        settings, config = _settings(options, ground, mail, peers, port, desk.getsockname()[1])
        peers.start()
        signer = load_signer(settings.ens.signer_key_file).address
        resolver = parse_address(settings.ens.resolver_addresses[0])
        if ground.own is not None:
            url = settings.server.public_url
            found = await asyncio.to_thread(found_parent, ground.own, PARENT, url, signer)
            check(found == resolver, "the resolver has another address than was foreseen")
        await asyncio.to_thread(upgrade, settings.store.url)
        gateway = await Gateway.open(settings, make_adapters(settings, config.parent))
        stack.push_async_callback(gateway.close)
        await gateway.store.commit(PutName(_sample(ground)))
        await gateway.start()
        server = HttpServer(gateway.app, bound)
        await server.start()
        stack.push_async_callback(server.stop)
        pages = HttpServer(await asyncio.to_thread(gateway.operator_pages, config), desk)
        await pages.start()
        stack.push_async_callback(pages.stop)
        await peers.started()
        yield await _people(stack, options, settings, ground, resolver, signer, gateway, mail, peers)


async def _ground(stack: AsyncExitStack, options: DemoOptions) -> Ground:
    if options.chain is not None:
        return await given_ground(options.chain.url, PARENT)
    with _listen(options.rpc_port, usual=8545) as probe:
        port: int = probe.getsockname()[1]
    return await stack.enter_async_context(own_ground(port))


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _settings(
    options: DemoOptions, ground: Ground, mail: MailServer, peers: Peers, port: int, admin_port: int
) -> tuple[Settings, Path]:
    """The configuration of this world, written as an operator's would be."""
    given = options.chain
    config = create_installation(
        options.folder,
        Answers(
            parent=PARENT,
            public_url=_url(port),
            port=port,
            rpc_url=ground.url,
            chain_id=ground.chain_id,
            ens_registry=ground.registry,
            # Our own contract believes the key that is made here, so it can only be deployed after this.
            resolver_address=given.resolver if given else future_resolver(ground.own) if ground.own else None,
            allow_private_gateways=True,
            claims="open",
            adapters=_adapters(options, mail, peers),
        ),
    )
    key = {"DM3_GATEWAY__ENS__SIGNER_KEY_FILE": str(given.signer_key_file.resolve())} if given else {}
    admin = {"ENABLED": "true", "PORT": str(admin_port), "TOKEN_FILE": OPERATORS}
    above = key | {f"DM3_GATEWAY__ADMIN__{name}": value for name, value in admin.items()}
    return load_settings(config, environ=above), config


async def _people(
    stack: AsyncExitStack,
    options: DemoOptions,
    settings: Settings,
    ground: Ground,
    resolver: EthAddress,
    signer: EthAddress,
    gateway: Gateway,
    mail: MailServer,
    peers: Peers,
) -> World:
    """The people of the story with ways of their own to ENS and to the relay."""
    client = GuardedClient(allow_private=True)
    stack.push_async_callback(client.close)
    reader = Chain((ground.url,), ground.chain_id)
    stack.push_async_callback(reader.close)
    ens = Ens(reader, ground.registry, client)
    profiles = Profiles(ens, client)
    http = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False))

    def person(name: EnsName, account: str) -> Dm3Client:
        wallet = ground.accounts[account].key
        return Dm3Client(name=name, wallet=wallet, profiles=profiles, http=http, service=gateway.service_name)

    native = person(ground.native, "native")
    echo = person(ground.echoes[0], "echo")
    await settle(ground, gateway.store, native, (ground.native,))
    await settle(ground, gateway.store, echo, ground.echoes)
    # Looked up now: a look-up that is begun goes on when its asker ends, which would be after the chain is closed.
    await echo.log_in()
    answering = asyncio.create_task(Echo(echo).run(), name="echo")
    stack.push_async_callback(_ended, answering)
    return World(
        folder=options.folder,
        settings=settings,
        ground=ground,
        resolver=resolver,
        resolver_signer=signer,
        gateway=gateway,
        ens=ens,
        profiles=profiles,
        native=native,
        echo=echo,
        mail=mail,
        smtp_port=int(settings.adapters.get("email", {}).get("smtp_port", 0)),
        matrix=await peers.matrix(),
        xmpp=await peers.xmpp(),
        http=http,
        admin_url=f"{_url(settings.admin.port)}/admin",
        admin_token=(options.folder / OPERATORS).read_text(encoding="utf-8").strip(),
    )


async def _ended(task: asyncio.Task[None]) -> None:
    """Before what it works with is closed."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _adapters(options: DemoOptions, mail: MailServer, peers: Peers) -> Mapping[str, Mapping[str, Any]]:
    tables = dict(peers.tables)
    if "email" in options.peers:
        with _listen(options.smtp_port, usual=2525) as probe:
            port = probe.getsockname()[1]
        tables["email"] = {
            "domain": EMAIL_DOMAIN,
            "smtp_host": HOST,
            "smtp_port": port,
            "relay_host": f"{HOST}:{mail.port}",
            "allowed_senders": [MAIL_DOMAIN],
        }
    return tables


def _sample(ground: Ground) -> NameRow:
    """A name with a record of every kind that the resolver serves."""
    alice, now = ground.accounts["alice"].address, now_ms()
    return NameRow(
        name=SAMPLE,
        node=namehash(SAMPLE),
        owner=alice,
        address=address_bytes(alice),
        coins={BITCOIN: bytes.fromhex("0014" + "ab" * 20), BASE: address_bytes(ground.accounts["bob"].address)},
        texts={"url": "https://example.org", "description": "Grüße, 世界 👋", "email": "alice@mail.example"},
        contenthash=bytes.fromhex("e3010170122029f2d17be6139079dc48696d1f582a8530eb9805b561eda517e22a892c7e3f1f"),
        created_at=now,
        updated_at=now,
    )


def _listen(port: int | None, *, usual: int) -> socket.socket:
    """A socket on the wanted port; on the usual one, or any, when none is wanted.

    It listens at once: another demo that starts meanwhile takes another port.
    """
    if port is not None:
        return _taken(port)
    try:
        return _taken(usual)
    except ConfigError:
        return _taken(0)


def _taken(port: int) -> socket.socket:
    bound = listen(HOST, port)
    try:
        bound.listen()
    except OSError as error:
        bound.close()
        raise ConfigError(f"cannot listen on {HOST} port {port}: {error.strerror}") from None
    return bound
