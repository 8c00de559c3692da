"""Commands by mail through Postfix and Exim as they are, and what `doctor` says of a domain that works with both."""

from __future__ import annotations

import pytest

from adapters.email.adapter import EmailAdapter
from adapters.email.settings import EmailSettings
from gateway.sdk import State
from tests.integration.mail_servers.inside.conftest import GATEWAY, MailWorld
from tests.integration.mail_servers.inside.test_servers import letter, server
from tests.support.mail.server import RealMailServer

__all__ = ["server"]

pytestmark = pytest.mark.asyncio(loop_scope="session")
CONTROL = f"control@{GATEWAY}"


async def test_commands_and_a_deletion(mail_world: MailWorld, server: RealMailServer) -> None:
    olga = f"olga@{server.domain}"
    native = await mail_world.native()
    to = f"{native.name}@{GATEWAY}"
    await server.submit(olga, to, letter(olga, to, "so that I have a name"))
    await mail_world.mail(native)
    ask = letter(
        olga, CONTROL, "whoami\nblock eve.eth\n\nregards, Olga", "Who am I", Message_ID=f"<c1@{server.domain}>"
    )
    await server.submit(olga, CONTROL, ask)
    answer = await server.mail("You get nothing from `eve.eth` any more")
    assert f"`olga.{server.domain}.email.gw.eth`" in answer.as_string()
    assert answer["From"] == f"DM3 gateway <{CONTROL}>"
    assert answer["In-Reply-To"] == f"<c1@{server.domain}>"
    assert answer["Subject"] == "Re: Who am I"
    assert answer["Auto-Submitted"] == "auto-replied"
    await server.submit(olga, CONTROL, letter(olga, CONTROL, "delete-me", "Leaving"))
    question = await server.mail("answer this mail within a day")
    reply = letter(
        olga, CONTROL, "yes\n\n> delete-me", f"Re: {question['Subject']}", In_Reply_To=question["Message-ID"]
    )
    await server.submit(olga, CONTROL, reply)
    await server.mail("is deleted, for good")


async def test_doctor_finds_this_domain_well(mail_world: MailWorld) -> None:
    settings = mail_world.adapter._settings
    assert isinstance(settings, EmailSettings)
    found = {each.check: each for each in await EmailAdapter.examine(settings, mail_world.house.url)}
    poor = {check for check, each in found.items() if each.state is not State.OK}
    assert poor == {"mta-sts", "tls-rpt", "certificate"}, found
