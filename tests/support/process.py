"""A gateway in a process of its own, to be killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from gateway.demo.chain.running import RunningChain, running_chain
from gateway.demo.ground import found_parent, future_resolver, publish
from gateway.demo.mail import MailServer
from gateway.dm3.eth import parse_address
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens
from gateway.ens.profiles import Profiles
from gateway.ids import EnsName
from gateway.operations.dm3_client import Dm3Client
from gateway.operations.installation import Answers, create_installation
from gateway.resolver.signer import load_signer
from gateway.settings import Settings, load_settings
from gateway.store.migrate import upgrade
from tests.support.ports import free_ports
from tests.support.waiting import until

PARENT = EnsName("gw.eth")
EMAIL_DOMAIN = "gw.example"


@dataclass(kw_only=True)
class NodeProcess:
    """`dm3-gateway serve`, to be started, stopped, frozen and killed."""

    config: Path
    url: str
    """Where its HTTP side listens."""
    http: httpx2.AsyncClient
    environment: dict[str, str] = field(default_factory=dict)
    log_name: str = "gateway.log"
    process: asyncio.subprocess.Process | None = field(default=None)

    async def start(self, *options: str) -> None:
        """Return when the node serves HTTP; `options` are those of the command."""
        log = (self.config.parent / self.log_name).open("ab")
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "serve", "--config", str(self.config), *options),
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={
                **{key: value for key, value in os.environ.items() if not key.startswith("DM3_GATEWAY")},
                **self.environment,
            },
        )
        log.close()

        async def look() -> bool | None:
            assert self.process is not None
            assert self.process.returncode is None, self.log()
            try:
                answer = await self.http.get(f"{self.url}/healthz")
            except httpx2.HTTPError:
                return None
            return answer.status_code == 200 or None

        await until(look, 60)

    async def kill(self) -> None:
        """SIGKILL to the whole process group."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        return await self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP to the whole process group."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self.process is not None
        return self.process.pid

    def log(self) -> str:
        """What the node wrote so far."""
        return (self.config.parent / self.log_name).read_text(errors="replace")

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            os.killpg(self.process.pid, number)

    async def _end(self, number: signal.Signals) -> int:
        self._signal(number)
        assert self.process is not None
        async with asyncio.timeout(30):
            return await self.process.wait()


@dataclass(kw_only=True)
class GatewayProcess(NodeProcess):
    """A node with e-mail; the chain and a mail server around it live in the test's process."""

    settings: Settings
    chain: RunningChain
    mail: MailServer
    native: Dm3Client
    smtp_port: int


@asynccontextmanager
async def gateway_process(
    folder: Path,
    store_url: str = "sqlite:///gateway.db",
    *,
    adapters: Mapping[str, Mapping[str, Any]] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> AsyncIterator[GatewayProcess]:
    """Everything set up, the process not started yet; it is killed at the end.

    `adapters` are tables of other adapters beside the one for e-mail; `overrides` are environment variables of the
    configuration.
    """
    async with AsyncExitStack() as stack:
        chain = await stack.enter_async_context(running_chain())
        mail = MailServer(folder / "mail")
        await mail.start()
        stack.push_async_callback(mail.stop)
        port, smtp_port = free_ports(2)
        email = {
            "domain": EMAIL_DOMAIN,
            "smtp_host": "127.0.0.1",
            "smtp_port": smtp_port,
            "relay_host": f"127.0.0.1:{mail.port}",
            "allowed_senders": ["mail.example"],
            "max_connections_per_address": 100,
        }
        config = create_installation(
            folder,
            Answers(
                parent=PARENT,
                public_url=f"http://127.0.0.1:{port}",
                port=port,
                rpc_url=chain.url,
                chain_id=chain.chain_id,
                ens_registry=chain.registry,
                resolver_address=future_resolver(chain),
                allow_private_gateways=True,
                store_url=store_url,
                adapters={"email": email, **(adapters or {})},
            ),
        )
        settings = load_settings(config, environ=overrides or {})
        signer = load_signer(settings.ens.signer_key_file).address
        await asyncio.to_thread(found_parent, chain, PARENT, settings.server.public_url, signer)
        await asyncio.to_thread(upgrade, settings.store.url)
        client = GuardedClient(allow_private=True, timeout=30)
        stack.push_async_callback(client.close)
        reader = Chain((chain.url,), chain.chain_id, timeout=30)
        stack.push_async_callback(reader.close)
        http = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False, timeout=60))
        native = Dm3Client(
            name=EnsName("native.eth"),
            wallet=chain.accounts["native"].key,
            profiles=Profiles(Ens(reader, parse_address(chain.registry), client), client),
            http=http,
            service=EnsName(f"ds.{PARENT}"),
        )
        await asyncio.to_thread(publish, chain, native, (native.name,))
        running = GatewayProcess(
            config=config,
            url=settings.server.public_url,
            http=http,
            environment=dict(overrides or {}),
            settings=settings,
            chain=chain,
            mail=mail,
            native=native,
            smtp_port=smtp_port,
        )
        try:
            yield running
        finally:
            if running.process is not None:
                await running.kill()
