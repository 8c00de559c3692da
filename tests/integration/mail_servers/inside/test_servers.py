"""Mail to a name and its answer, through Postfix and Exim as they are."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

import pytest

from gateway.dm3.message import MessageType
from gateway.ids import EnsName
from tests.integration.mail_servers.inside.conftest import GATEWAY, MailWorld
from tests.support.mail.server import RealMailServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


def letter(sender: str, to: str, text: str, subject: str = "Hello", **headers: str) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = f"Bob <{sender}>", to, subject
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail.as_bytes()


@pytest.fixture(params=["postfix", "exim"])
def server(request: pytest.FixtureRequest, mail_world: MailWorld) -> RealMailServer:
    found = getattr(mail_world, request.param)
    assert isinstance(found, RealMailServer)
    return found


async def test_mail_to_a_name_and_its_answer(mail_world: MailWorld, server: RealMailServer) -> None:
    native = await mail_world.native()
    bob, to = f"bob@{server.domain}", f"{native.name}@{GATEWAY}"
    message_id = f"<first@{server.domain}>"
    await server.submit(bob, to, letter(bob, to, "hello from mail", "A question", Message_ID=message_id))
    (received,) = await mail_world.mail(native)
    assert "hello from mail" in (received.message.text or "")
    assert received.message.from_ == f"bob.{server.domain}.email.gw.eth"
    sender = received.message.from_
    assert sender is not None
    await native.send(EnsName(sender), "an answer", kind=MessageType.REPLY, reference=received.message_hash)
    answer = await server.mail("an answer")
    assert answer["In-Reply-To"] == message_id
    assert answer["Subject"].startswith("Re: ")
    assert to in answer["From"]


async def test_an_unknown_name_is_refused_and_the_senders_own_server_says_so(
    mail_world: MailWorld, server: RealMailServer
) -> None:
    bob, to = f"carol@{server.domain}", f"nobody-at-all.eth@{GATEWAY}"
    await server.submit(bob, to, letter(bob, to, "anybody?"))
    notice = await server.mail("nobody-at-all.eth", "5.1.1")
    assert GATEWAY not in (notice["From"] or ""), "not from us"
