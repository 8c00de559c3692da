"""An open adapter with a gateway in memory behind it, its certificate, and clients that speak raw SMTP."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from adapters.email.adapter import EmailAdapter
from adapters.email.settings import EmailSettings
from adapters.email.users import hash_password
from gateway.sdk import EnsName
from gateway.sdk.testing import MemoryContext
from tests.integration.email.peers import Zone, dns_server
from tests.integration.email.talk import Talk, talk_to


@dataclass
class Door:
    """The adapter, open, and the gateway behind it."""

    adapter: EmailAdapter
    ctx: MemoryContext

    @asynccontextmanager
    async def talk(self, *, submission: bool = False, greet: bool = True) -> AsyncIterator[Talk]:
        """A raw connection, after EHLO unless told otherwise."""
        port = self.adapter.submission_port if submission else self.adapter.mx_port
        assert port is not None
        async with talk_to(port) as talk:
            if greet:
                assert (await talk.reply()).startswith("220 ")
                assert (await talk.say("EHLO client.example.net")).startswith("250")
            yield talk


OpenDoor = Callable[..., Coroutine[Any, Any, Door]]
OpenWith = Callable[..., Coroutine[Any, Any, Door]]
Rows = Mapping[str, Sequence[str]]
STRANGERS = ("192.0.2.0/24",)
"""Networks of the operator in which loopback is not."""


@pytest.fixture
async def open_door() -> AsyncIterator[OpenDoor]:
    """Opens adapters with settings of one's own; closes them at the end."""
    async with AsyncExitStack() as stack:
        # Nobody has a mail domain, unless a test brings a DNS of its own.
        nowhere = await stack.enter_async_context(dns_server(Zone()))

        async def open_adapter(**changes: Any) -> Door:
            values: dict[str, Any] = {
                "domain": "gw.example",
                "smtp_host": "127.0.0.1",
                "smtp_port": 0,
                "allowed_senders": ("example.net",),
                "dns_servers": (nowhere,),
            }
            adapter = EmailAdapter(EmailSettings.model_validate(values | changes))
            ctx = MemoryContext(network=adapter.name, known_names={EnsName("alice.eth"), EnsName("carol.eth")})
            await adapter.open(ctx)
            stack.push_async_callback(adapter.close)
            return Door(adapter, ctx)

        yield open_adapter


@pytest.fixture
async def door(open_door: OpenDoor) -> Door:
    """With the defaults of these tests."""
    return await open_door()


@pytest.fixture
async def open_with(open_door: OpenDoor) -> AsyncIterator[OpenWith]:
    """Opens a door whose DNS has these rows and in whose eyes loopback is anybody."""
    async with AsyncExitStack() as stack:

        async def opened(rows: Rows, failing: frozenset[str] = frozenset(), **settings: Any) -> Door:
            server = await stack.enter_async_context(dns_server(Zone(rows, failing)))
            values = {"allowed_networks": STRANGERS, "allowed_senders": (), "dns_servers": (server,)}
            return await open_door(**(values | settings))

        yield opened


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Signs every certificate of these tests."""
    return trustme.CA()


@pytest.fixture(scope="session")
def tls_files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Certificate and key of our server, as settings name them."""
    folder = tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(folder / "cert.pem", append=True)
    return {"tls_cert_file": folder / "cert.pem", "tls_key_file": folder / "key.pem"}


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Trusts our server."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A foreign server's side, with a certificate for another name: opportunistic TLS does not look."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("somebody.else.example").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def users_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One user: bob with the password "secret" and two addresses."""
    path = tmp_path_factory.mktemp("users") / "users"
    path.write_text(f"bob:{hash_password('secret')}:bob@example.net,bob@example.org\n")
    return path
