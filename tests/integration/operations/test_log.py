"""A whole exchange of a node that writes down all that it can: nobody and no secret is in its log."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
import socketio

from gateway.demo.ground import publish
from gateway.demo.mail import send_mail
from gateway.dm3.auth import sign_challenge
from gateway.dm3.envelope import Envelope, canonical_envelope, envelope_id, seal
from gateway.dm3.eth import sign_text
from gateway.dm3.keys import ProfileKeys, signing_pair, storage_key_from_signature, storage_key_text
from gateway.dm3.message import Message, MessageType, sign_message
from gateway.ids import EnsName
from gateway.operations.dm3_client import Dm3Client
from tests.support.process import EMAIL_DOMAIN, GatewayProcess, gateway_process
from tests.support.waiting import mail_of, until

WRITER = "canarywriter@mail.example"
WRITER_NAME = EnsName("canarywriter.mail.example.email.gw.eth")
TEXT = "canary words that nobody else may read"


@dataclass
class Exchange:
    """People who write to each other through one node, and everything of theirs that its log must not hold."""

    gateway: GatewayProcess
    canaries: dict[str, str] = field(default_factory=dict)

    async def native(self, name: str, account: str, service: EnsName | None = None) -> Dm3Client:
        """Somebody with a wallet; none of their keys may be written either."""
        client = Dm3Client(
            name=EnsName(name),
            wallet=self.gateway.chain.accounts[account].key,
            profiles=self.gateway.native._profiles,
            http=self.gateway.http,
            service=service or self.gateway.native.service,
        )
        await asyncio.to_thread(publish, self.gateway.chain, client, (client.name,))
        keys = self.keys_of(account)
        self.canaries |= {
            f"name of {account}": name.partition(".")[0],
            f"address of {account}": client.address,
            f"wallet of {account}": self.gateway.chain.accounts[account].key.hex(),
            f"signing key of {account}": base64.b64encode(keys.signing.private).decode()[:40],
            f"signing key of {account} in hex": keys.signing.private.hex()[:60],
            f"public key of {account}": base64.b64encode(keys.signing.public).decode(),
        }
        return client

    def keys_of(self, account: str) -> ProfileKeys:
        person = self.gateway.chain.accounts[account]
        return ProfileKeys.from_storage_key(
            storage_key_from_signature(sign_text(person.key, storage_key_text(person.address)))
        )

    async def request(self, method: str, path: str, token: str | None = None, **content: Any) -> Any:
        """One request, whatever the answer."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        url = f"{self.gateway.settings.server.public_url}{path}"
        return await self.gateway.http.request(method, url, headers=headers, **content)

    async def rpc(self, method: str, *params: Any) -> Any:
        return await self.request("POST", "/ds/rpc", json={"id": 1, "method": method, "params": list(params)})

    async def log_in(self, client: Dm3Client, account: str) -> str:
        """A token, after a log-in that failed."""
        path = f"/ds/auth/{client.name}"
        for key in (signing_pair(), self.keys_of(account).signing):
            challenge = (await self.request("GET", path)).json()
            signature = sign_challenge(key, challenge)
            answer = await self.request("POST", path, json={"challenge": challenge, "signature": signature})
            self.canaries |= {f"challenge {len(self.canaries)}": challenge, f"log-in {len(self.canaries)}": signature}
        token = str(answer.json())
        self.canaries[f"token of {account}"] = token
        return token

    async def sealed(self, sender: Dm3Client, account: str, recipient: Dm3Client, to: str | None = None) -> Envelope:
        """An envelope; to another name than the recipient's when `to` is given."""
        service = await self.gateway.native._profiles.delivery_service(self.gateway.native.service)
        keys = self.keys_of(account)
        draft = Message(
            to=EnsName(to or recipient.name), from_=sender.name, type=MessageType.NEW, timestamp=1, text=TEXT
        )
        profile = recipient.signed_profile().profile
        return seal(
            sign_message(draft, keys.signing),
            profile.public_encryption_key,
            service.public_encryption_key,
            keys.signing,
        )

    async def mail(self, sender: str, to: str) -> None:
        """One mail, taken or not."""
        self.canaries[f"mail {len(self.canaries)}"] = to.partition(".")[0]
        with contextlib.suppress(aiosmtplib.SMTPException):
            await send_mail(
                host="127.0.0.1",
                port=self.gateway.smtp_port,
                sender=sender,
                recipient=f"{to}@{EMAIL_DOMAIN}",
                subject="canary subject",
                text=TEXT,
                message_id=f"<{len(self.canaries)}@mail.example>",
            )


async def what_goes_well(exchange: Exchange, alice: Dm3Client, carol: Dm3Client, token: str) -> str:
    """Mail in, its answer out, a message from one to another with push; the id of an envelope."""
    await exchange.mail(WRITER, alice.name)
    (received,) = await mail_of(alice, seconds=30)
    await alice.acknowledge(received)
    await alice.send(WRITER_NAME, TEXT)

    async def answered() -> bool | None:
        return bool(await exchange.gateway.mail.messages(WRITER)) or None

    await until(answered, 30)
    socket, pushed = socketio.AsyncClient(reconnection=False), asyncio.Event()
    socket.on("message", lambda _: pushed.set())
    auth = {"account": {"ensName": alice.name}, "token": token}
    await socket.connect(exchange.gateway.settings.server.public_url, auth=auth, transports=["websocket"])
    envelope = await exchange.sealed(carol, "carol", alice)
    assert (await exchange.rpc("dm3_submitMessage", canonical_envelope(envelope))).status_code == 200
    async with asyncio.timeout(20):
        await pushed.wait()
    await socket.emit("submitMessage", {"envelop": {"message": TEXT}, "token": token})
    await socket.disconnect()
    await exchange.request("POST", f"/ds/profile/{alice.name}", json=alice.signed_profile().to_json())
    for path in (f"/ds/delivery/messages/incoming/{alice.name}", "/api/v1/mailbox", "/api/v1/account/export"):
        assert (await exchange.request("GET", path, token)).status_code == 200
    return envelope_id(alice.address, envelope)


async def what_goes_wrong(exchange: Exchange, alice: Dm3Client, carol: Dm3Client, token: str) -> None:
    """Strangers, forgeries, blocked senders, lost services, false tokens, refused mail, a closed account."""
    nobody = "canarynobody.eth"
    exchange.canaries["nobody"] = "canarynobody"
    for path in ("auth", "profile"):
        assert (await exchange.request("GET", f"/ds/{path}/{nobody}")).status_code == 404
    assert (await exchange.rpc("dm3_getProfileExtension", nobody)).status_code == 404
    assert (await exchange.rpc("dm3_getProfileExtension", f"{nobody} {nobody}")).status_code == 400
    for envelope in (
        await exchange.sealed(carol, "carol", alice, to=nobody),
        await exchange.sealed(carol, "mallory", alice),
    ):
        assert (await exchange.rpc("dm3_submitMessage", canonical_envelope(envelope))).status_code in (401, 404)
    assert (await exchange.rpc("dm3_submitMessage", {"message": TEXT, "metadata": {"x": nobody}})).status_code == 400
    assert (await exchange.request("PUT", "/api/v1/account/rules", token, json={"block": [carol.name]})).is_success
    blocked = await exchange.sealed(carol, "carol", alice)
    assert (await exchange.rpc("dm3_submitMessage", canonical_envelope(blocked))).status_code == 403
    false = "canarytoken" * 4
    exchange.canaries["false token"] = "canarytoken"
    assert (await exchange.request("GET", f"/ds/delivery/messages/incoming/{carol.name}", false)).status_code == 401
    channel = {"recipientValue": "canarynotified@mail.example"}
    await exchange.request("POST", f"/ds/notifications/{alice.name}", token, json=channel)
    exchange.canaries["notified"] = "canarynotified"
    lost = await exchange.native("canarylost.eth", "native", EnsName("ds.canaryservice.eth"))
    exchange.canaries["service"] = "canaryservice"
    await exchange.mail(WRITER, lost.name)
    await exchange.mail(WRITER, "canaryunknown.eth")
    await exchange.mail("canaryspammer@evil.example", alice.name)
    exchange.canaries["spammer"] = "canaryspammer"
    text = (await exchange.request("GET", f"/api/v1/account/removal/{alice.address}")).json()["message"]
    body = {"message": text, "signature": sign_text(exchange.gateway.chain.accounts["alice"].key, text)}
    exchange.canaries |= {"nonce": text.partition("Nonce: ")[2].partition("\n")[0], "removal": body["signature"][2:]}
    assert (await exchange.request("POST", "/api/v1/account/removal", json=body)).status_code == 200


async def told_in_mail(gateway: GatewayProcess) -> str:
    """The trace in the failure notice that the writer of a mail gets."""

    async def look() -> str | None:
        mails = await gateway.mail.messages(WRITER)
        found = [each[1] for mail in mails if (each := re.search(r"\[trace\s+([0-9a-f]{12})\]", str(mail)))]
        return found[0] if found else None

    return await until(look, 30)


def lines(log: str) -> Iterator[dict[str, Any]]:
    """The events; each line is one JSON object."""
    for line in log.splitlines():
        event = json.loads(line)
        assert isinstance(event, dict)
        yield event


@pytest.mark.weakness(16)
@pytest.mark.attack(41)
async def test_a_whole_exchange_names_nobody_and_tells_no_secret(tmp_path: Path) -> None:
    async with gateway_process(tmp_path / "node") as gateway:
        await gateway.start("--log-level", "DEBUG", "--log-format", "json")
        exchange = Exchange(gateway, {"writer": "canarywriter", "text": "canary words", "subject": "canary subject"})
        alice = await exchange.native("canaryalice.eth", "alice")
        carol = await exchange.native("canarycarol.eth", "carol")
        token = await exchange.log_in(alice, "alice")
        id_ = await what_goes_well(exchange, alice, carol, token)
        await what_goes_wrong(exchange, alice, carol, token)

        async def failed() -> bool | None:
            return "outbound.service_failed" in gateway.log() or None

        await until(failed, 30)
        trace = await told_in_mail(gateway)
        page = (await exchange.request("GET", "/metrics")).text
        assert await gateway.stop() == 0
        events = list(lines(gateway.log()))
    log = "\n".join(map(json.dumps, events))
    told = {str(event["event"]) for event in events}
    assert {"rpc.refused", "outbound.sent", "inbound.outcome", "mail.taken", "gateway.stopped"} <= told
    assert id_ in log, "what is written can be followed by ids"
    done = [event["event"] for event in events if event.get("trace") == trace]
    assert {"outgoing.accepted", "outbound.service_failed", "outbound.given_up", "report.told"} <= set(done)
    assert "dm3_gateway_messages_accepted_total" in page
    assert "canary" not in page.lower()
    assert len(exchange.canaries) > 30
    found = {what for what, canary in exchange.canaries.items() if canary.lower() in log.lower()}
    assert found == set(), [line for line in log.splitlines() if "canary" in line.lower()][:5]
    assert "canary" not in log.lower()
