"""Mail that Postfix and Exim take, and send back when they cannot deliver it after all."""

from __future__ import annotations

import pytest

from gateway.dm3.message import MessageType
from gateway.ids import EnsName
from gateway.sdk import NOTICE_MARK
from tests.integration.mail_servers.inside.conftest import GATEWAY, MailWorld
from tests.integration.mail_servers.inside.test_servers import letter
from tests.support.mail.server import RealMailServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("postfix", "it could not be brought to their mail server (5.4.4)."),
        ("exim", "their mail server sent it back (5.0.0)."),
    ],
)
async def test_a_bounce_of_a_real_server_is_told_to_the_sender(mail_world: MailWorld, name: str, words: str) -> None:
    server = getattr(mail_world, name)
    assert isinstance(server, RealMailServer)
    native = await mail_world.native()
    gone, to = f"gone@{server.domain}", f"{native.name}@{GATEWAY}"
    await server.submit(gone, to, letter(gone, to, "I will be gone"))
    (received,) = await mail_world.mail(native)
    sent = await native.send(EnsName(received.message.from_ or ""), "are you there?")
    (told,) = await mail_world.mail(native, kind=MessageType.REPLY)
    text = told.message.text or ""
    assert text.startswith(f"{NOTICE_MARK}Your message did not reach {gone}: {words}")
    assert "nowhere.example" in text or name == "exim", "Exim gives no reason but the code"
    assert told.message.reference == sent.message_hash
    assert told.message.from_ == received.message.from_
