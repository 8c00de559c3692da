"""Mail to a name and its answer, through Postfix and Exim as they are."""

from __future__ import annotations

import tomllib
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from adapters.email.adapter import EmailAdapter
from adapters.email.settings import EmailSettings
from gateway.dm3.message import MessageType
from gateway.ids import EnsName
from tests.integration.mail_servers.inside.conftest import FRONT, GATEWAY, MailWorld, documented, settings
from tests.support.house import running_house
from tests.support.mail.server import RealMailServer
from tests.support.natives import WITHOUT_RATES, Natives

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


async def test_exim_verifies_both_signatures_of_ours(mail_world: MailWorld) -> None:
    native = await mail_world.native()
    bob, to = f"dora@{mail_world.exim.domain}", f"{native.name}@{GATEWAY}"
    await mail_world.exim.submit(bob, to, letter(bob, to, "please sign your answer"))
    (received,) = await mail_world.mail(native)
    await native.send(EnsName(received.message.from_ or ""), "signed, I hope")
    await mail_world.exim.mail("signed, I hope")
    verdicts = [each for each in mail_world.exim.verdicts() if f"d={GATEWAY}" in each]
    for algorithm in ("rsa-sha256", "ed25519-sha256"):
        found = [each for each in verdicts if f"a={algorithm}" in each]
        assert found, verdicts
        assert all("verification succeeded" in each for each in found), verdicts


async def test_nobody_speaks_for_another_domain(mail_world: MailWorld) -> None:
    """Postfix hands over what says that it is of Exim's domain, which asks for refusal."""
    native = await mail_world.native()
    forged, to = f"bob@{mail_world.exim.domain}", f"{native.name}@{GATEWAY}"
    victim = f"carl@{mail_world.postfix.domain}"
    await mail_world.postfix.submit(victim, to, letter(forged, to, "send me money"))
    notice = await mail_world.postfix.mail("5.7.1", native.name)
    assert "send me money" in notice.as_string()
    await mail_world.postfix.submit(victim, to, letter(victim, to, "it is me"))
    (received,) = await mail_world.mail(native)
    assert "it is me" in (received.message.text or "")
    assert received.message.from_ == f"carl.{mail_world.postfix.domain}.email.gw.eth"


async def test_a_postfix_in_front_hands_over_by_lmtp(mail_world: MailWorld, tmp_path: Path) -> None:
    """What Exim signed is believed, whoever carries it; Postfix hears at once what is refused."""
    told = tomllib.loads(documented("```toml\n", "```"))["adapters"]["email"]
    own = settings(tmp_path) | {"allowed_networks": ("127.0.0.0/8",), "dkim_key_files": []} | told
    own["relay_host"] = f"{mail_world.postfix.address}:25"
    adapter = EmailAdapter(EmailSettings.model_validate(own))
    async with running_house(tmp_path, adapters={adapter.name: adapter}, overrides=WITHOUT_RATES) as house:
        front = Natives(house=house)
        native = await front.native()
        bob, to = f"bob@{mail_world.exim.domain}", f"{native.name}@{FRONT}"
        await mail_world.exim.submit(bob, to, letter(bob, to, "through Postfix"))
        (received,) = await front.mail(native)
        assert "through Postfix" in (received.message.text or "")
        await native.send(EnsName(received.message.from_ or ""), "and back over it")
        answer = await mail_world.exim.mail("and back over it")
        assert any(mail_world.postfix.domain in each for each in answer.get_all("Received", []))
        await mail_world.exim.submit(bob, f"nobody.eth@{FRONT}", letter(bob, f"nobody.eth@{FRONT}", "anybody?"))
        notice = await mail_world.exim.mail(f"nobody.eth@{FRONT}", "5.1.1")
        assert mail_world.postfix.domain in notice.as_string(), "Postfix says so, not we"


async def test_an_unknown_name_is_refused_and_the_senders_own_server_says_so(
    mail_world: MailWorld, server: RealMailServer
) -> None:
    bob, to = f"carol@{server.domain}", f"nobody-at-all.eth@{GATEWAY}"
    await server.submit(bob, to, letter(bob, to, "anybody?"))
    notice = await server.mail("nobody-at-all.eth", "5.1.1")
    assert GATEWAY not in (notice["From"] or ""), "not from us"
