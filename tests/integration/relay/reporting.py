"""A house whose people can be told outside of DM3: mail by a real mail server, web push by a push service."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx2

from adapters.email.adapter import EmailAdapter
from adapters.email.settings import EmailSettings
from gateway.ids import EthAddress, Network
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.store.lanes import JobState, QueueList
from tests.integration.email.peers import Mailbox, mail_server
from tests.integration.relay.clients import token_of
from tests.support.accounts import Registered
from tests.support.house import House, running_house
from tests.support.push import PushService, push_service
from tests.support.waiting import until


class TurnedClock:
    """The time of this machine, and as much more as a test says."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return now_ms() + self.ahead


@dataclass
class Outside:
    """A house, what people outside of it got, and its clock."""

    house: House
    mailbox: Mailbox
    pushes: PushService
    clock: TurnedClock

    async def mails(self, number: int) -> list[EmailMessage]:
        """All mails once there are so many."""

        async def look() -> list[EmailMessage] | None:
            return self.mailbox.mails if len(self.mailbox.envelopes) >= number else None

        return await until(look)

    async def code(self, number: int) -> str:
        """The code in the last of so many mails."""
        text = (await self.mails(number))[-1].get_content()
        found = re.match(r"Your verification code is (\d{5})\r?\n", text)
        assert found is not None, text
        return found[1]


@asynccontextmanager
async def outside(folder: Path, **overrides: Any) -> AsyncIterator[Outside]:
    """Start everything; `overrides` are keys of ``[notifications]``."""
    async with AsyncExitStack() as stack:
        mailbox, clock = Mailbox(), TurnedClock()
        mail_port = await stack.enter_async_context(mail_server(mailbox))
        pushes = await stack.enter_async_context(push_service())
        settings = {"domain": "gw.example", "smtp_host": "127.0.0.1", "smtp_port": 0, "send_timeout": 60}
        adapter = EmailAdapter(EmailSettings.model_validate(settings | {"relay_host": f"127.0.0.1:{mail_port}"}))
        environment = {f"DM3_GATEWAY__NOTIFICATIONS__{key.upper()}": str(value) for key, value in overrides.items()}
        house = await stack.enter_async_context(
            running_house(folder, adapters={Network("email"): adapter}, overrides=environment, clock=clock)
        )
        yield Outside(house, mailbox, pushes, clock)


@dataclass
class Person:
    """Somebody who is logged in with an account."""

    house: House
    client: Dm3Client
    token: str
    prefix: str = "/ds"

    @property
    def address(self) -> EthAddress:
        """Of the account."""
        return self.client.address

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """One request under /notifications; NAME in the path stands for the person's name."""
        url = f"{self.house.url}{self.prefix}/notifications{path.replace('NAME', self.client.name)}"
        given = {"authorization": f"Bearer {self.token}"} if headers is None else headers
        return await self.house.http.request(method, url, json=body, headers=given)

    async def must(self, method: str, path: str, body: Any = None) -> Any:
        """A request that succeeds."""
        answer = await self.ask(method, path, body)
        assert answer.status_code == 200, answer.text
        return answer

    async def refused(self, method: str, path: str, body: Any = None, status: int = 400) -> str:
        """The sentence of a refusal."""
        answer = await self.ask(method, path, body)
        assert answer.status_code == status, answer.text
        return str(answer.json()["error"])

    async def channels(self) -> list[Any]:
        """As the relay lists them."""
        listed: list[Any] = (await self.must("GET", "/NAME")).json()["notificationChannels"]
        return listed


async def log_in(house: House, client: Dm3Client, account: str, *, notify: bool | None = False) -> Person:
    """Log in; the account has notifications on or off, with None there is no account."""
    if notify is not None:
        await house.gateway.store.commit(Registered(client.address, client.name, notify))
    return Person(house, client, await token_of(house, client, account))


async def wants_mail(outside: Outside, person: Person, address: str = "bob@example.net") -> None:
    """Switch on, enter an address, and prove it by the code that came."""
    before = len(outside.mailbox.envelopes)
    await person.must("POST", "/global/NAME", {"isEnabled": True})
    await person.must("POST", "/NAME", {"recipientValue": address, "notificationChannelType": "EMAIL"})
    code = await outside.code(before + 1)
    await person.must("POST", "/otp/verify/NAME", {"otp": code, "notificationChannelType": "EMAIL"})


async def settled(house: House) -> None:
    """Until no job waits for its time or for a worker."""

    async def look() -> bool | None:
        return None if await house.gateway.store.read(QueueList(JobState.READY, 1)) else True

    await until(look)
