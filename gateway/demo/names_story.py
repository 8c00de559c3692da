"""The chapter of names: Carol claims one with her wallet, links it to her mail, and is known by it."""

from __future__ import annotations

import re
from email.message import EmailMessage
from typing import Any, Final

from gateway.demo.hearing import heard
from gateway.demo.mail import DOMAIN, send_mail
from gateway.demo.teller import Teller, check, until
from gateway.demo.world import EMAIL_DOMAIN, HOST, PARENT, World
from gateway.dm3.encoding import to_hex
from gateway.dm3.eth import checksum, sign_digest, sign_text
from gateway.dm3.message import MessageType
from gateway.ids import EnsName
from gateway.subnames.orders import read_order

NAME: Final = EnsName(f"carol.{PARENT}")
CAROL: Final = f"carol@{DOMAIN}"
CODE: Final = re.compile(r"\b[A-Z2-9]{4}-[A-Z2-9]{4}\b")
URL: Final = "https://carol.example"
GREETING: Final = "I have a name of my own now."


class Wallet:
    """Carol's wallet and her browser: signs texts, and talks to the gateway as the page does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._account = world.ground.accounts["carol"]
        self._token = ""
        self.address = self._account.address

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        """What the interface answers; the step fails on another status."""
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        answer = await self._world.http.post(f"{self._world.gateway_url}/api/v1{path}", json=body, headers=headers)
        check(answer.status_code == status, f"{path} says {answer.status_code}: {answer.text}")
        return answer.json()

    async def claim(self) -> str:
        """Claim the name and stay signed in; the text that was signed."""
        asked = await self.post("/claims/message", {"name": NAME, "address": checksum(self.address)})
        message = str(asked["message"])
        claim = {"name": NAME, "message": message, "signature": self.sign(message)}
        self._token = (await self.post("/claims", claim, 201))["session"]["token"]
        return message

    async def change(self, records: dict[str, str]) -> None:
        """Order other records by a typed signature."""
        prepared = await self.post(f"/names/{NAME}/orders/prepare", {"action": "records", "records": records})
        order = read_order(prepared["order"], NAME)
        digest = order.typed_data(PARENT, self._world.ground.chain_id).digest()
        signature = to_hex(sign_digest(self._account.key, digest))
        await self.post(f"/names/{NAME}/orders", {"order": prepared["order"], "signature": signature})

    def sign(self, text: str) -> str:
        """personal_sign."""
        return sign_text(self._account.key, text)


async def tell_names(teller: Teller, world: World, *, linked: bool) -> None:
    """A claim and a change by wallet; with mail, a link and a message each way under the new name."""
    teller.chapter("Names")
    wallet = Wallet(world)
    await _claim(teller, world, wallet)
    await _change(teller, world, wallet)
    if linked:
        await _link(teller, world, wallet)
        await _write(teller, world)
        await _answer(teller, world)


async def _claim(teller: Teller, world: World, wallet: Wallet) -> None:
    async def work() -> tuple[None, str]:
        message = await wallet.claim()
        found = await world.ens.address(NAME)
        check(found == wallet.address, f"{NAME} resolves to {found}")
        return None, f"one signature on {message.splitlines()[3]!r}; through the chain {NAME} -> {found}"

    await teller.step(f"Carol claims {NAME} with her wallet, and it resolves", work)


async def _change(teller: Teller, world: World, wallet: Wallet) -> None:
    async def work() -> tuple[None, str]:
        await wallet.change({"text:url": URL})
        found = await world.ens.text(NAME, "url")
        check(found == URL, f"the record is {found!r}")
        return None, f"url = {found}, ordered by a typed signature (EIP-712)"

    await teller.step("she changes a record of it", work)


async def _link(teller: Teller, world: World, wallet: Wallet) -> None:
    async def work() -> tuple[None, str]:
        asked = await wallet.post(f"/names/{NAME}/link", {"network": "email", "person": CAROL}, 202)
        mail = await until("the code in Carol's mailbox", lambda: world.mail.find(CAROL, "is the code to link"))
        code = CODE.search(_text(mail))
        check(code is not None, "the mail holds no code")
        assert code is not None
        confirmation = {"code": code[0], "signature": wallet.sign(asked["message"])}
        name = await wallet.post(f"/names/{NAME}/link/confirm", confirmation)
        check(name["level"] == "owned", f"the level is {name['level']}")
        found = await world.profiles.user(NAME, fresh=True)
        check(found.address == wallet.address, "the profile is signed by another wallet")
        return None, f"a code by mail and one signature; level {name['level']}, profile signed by her wallet"

    await teller.step(f"she links it to {CAROL}", work)


async def _write(teller: Teller, world: World) -> None:
    async def work() -> tuple[None, str]:
        await send_mail(
            host=HOST,
            port=world.smtp_port,
            sender=CAROL,
            sender_name="Carol",
            recipient=f"{world.native.name}@{EMAIL_DOMAIN}",
            subject="News",
            text=GREETING,
            message_id="<news.1@mail.example>",
        )
        received = await heard(world, "her message at the relay under her name", MessageType.NEW, NAME)
        check(GREETING in (received.message.text or ""), "the text is another one")
        check(CAROL not in (received.message.text or ""), "her mail address is told")
        return None, f"from {received.sender}, verified; her mail address is not told"

    await teller.step(f"Carol mails {world.native.name}, who sees her name", work)


async def _answer(teller: Teller, world: World) -> None:
    text = "A fine name."

    async def work() -> tuple[None, str]:
        sent = await world.native.send(NAME, text)
        mail = await until("the answer in Carol's mailbox", lambda: world.mail.find(CAROL, text))
        await heard(world, "the receipt", MessageType.READ_RECEIVED, NAME, about=sent.message_hash)
        return None, f"From: {mail['From']}"

    await teller.step(f"{world.native.name} writes to {NAME}, and it is in Carol's mailbox", work)


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    return "" if body is None else str(body.get_content())
