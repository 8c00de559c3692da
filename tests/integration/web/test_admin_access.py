"""Who gets at the operator pages and who does not; what is done there stands in the audit log."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from starlette.requests import Request

from gateway.admin_settings import AdminSettings
from gateway.dm3.eth import address_of, sign_text
from gateway.errors import ConfigError
from gateway.ids import NativeId, Network
from gateway.lifecycle import now_ms
from gateway.serving import serve_until
from gateway.settings import load_settings
from gateway.store.jobs import JobState
from gateway.store.messagemap import MapMessage, MessageLink
from gateway.store.overview import JobNumbered, NewestEntries
from gateway.store.status import SetStatus
from gateway.subnames.signing_in import SigningIn
from gateway.web.admin_access import COOKIE, Access
from gateway.web.server import listen
from tests.integration.store.values import Sql
from tests.integration.subnames.wallets import Wallet
from tests.integration.web.operators import OWNER_KEY, WORDS, Office, fill, operating
from tests.integration.web.visitors import ANOTHER_LOOP
from tests.support.waiting import until

pytestmark = ANOTHER_LOOP

PAGES = ("", "/queue", "/queue/lane", "/failures", "/trace", "/names", "/doctor", "/audit")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with operating(tmp_path_factory.mktemp("office") / "house") as office:
        office.jobs = await fill(office.house.gateway.store)
        yield office


@pytest.fixture
def office(filled: Office) -> Office:
    """Somebody who is not logged in, from an address of their own."""
    filled.http.cookies.clear()
    filled.http.headers["x-forwarded-for"] = f"10.9.{now_ms() % 250}.{id(object()) % 250}"
    return filled


async def test_the_listener_of_the_world_knows_nothing_of_them(office: Office) -> None:
    await office.log_in()
    for page in (*PAGES, "/login", "/queue/act", "/logout"):
        for method in ("GET", "POST"):
            answer = await office.http.request(method, f"{office.house.url}/admin{page}")
            assert answer.status_code == 404, page


async def test_who_is_not_logged_in_is_sent_to_the_log_in_and_changes_nothing(office: Office) -> None:
    for page in PAGES:
        answer = await office.get(f"/admin{page}")
        assert answer.status_code == 303, page
        assert answer.headers["location"].startswith("/admin/login")
        assert answer.headers["cache-control"] == "no-store"
    held = str(office.jobs["held"])
    for fields in ({"action": "drop", "job": held, "sure": "1"}, {"action": "retry", "job": held}):
        assert (await office.post("/admin/queue/act", fields)).status_code == 401
        forged = await office.post("/admin/queue/act", fields, cookie=f"{COOKIE}=guess")
        assert forged.status_code == 401
    assert await state_of(office, "held") is JobState.HOLD


async def test_a_wrong_token_is_refused_and_guessing_is_slow(office: Office) -> None:
    answers = [await office.post("/admin/login", {"token": f"{office.token}{number}"}) for number in range(12)]
    assert [each.status_code for each in answers] == [401] * 10 + [429] * 2
    assert not any("set-cookie" in each.headers for each in answers)
    assert (await office.post("/admin/login", {"token": office.token})).status_code == 429


async def test_other_origins_and_other_names_are_kept_out(office: Office) -> None:
    await office.log_in()
    retry = {"action": "retry", "job": str(office.jobs["held"])}
    port = office.url.rpartition(":")[2]
    for origin in ("https://evil.example", "null", office.house.url, f"http://127.0.0.2:{port}", ""):
        assert (await office.post("/admin/queue/act", retry, origin=origin)).status_code == 403, origin
    without = await office.http.post(f"{office.url}/admin/queue/act", data=retry)
    assert without.status_code == 403
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", "admin.evil.example"):
        answer = await office.get("/admin", host=host)
        assert answer.status_code == 421, host
    assert (await office.get("/admin", host=f"localhost:{port}")).status_code == 200
    assert await state_of(office, "held") is JobState.HOLD


async def test_the_session_is_in_a_cookie_that_is_of_no_other_use(office: Office) -> None:
    await office.log_in()
    answer = await office.post("/admin/login", {"token": office.token, "next": "/admin/audit?before=9"})
    assert answer.headers["location"] == "/admin/audit?before=9"
    flags = {each.strip().lower() for each in answer.headers["set-cookie"].split(";")[1:]}
    assert flags >= {"httponly", "samesite=strict", "path=/admin"}
    token = answer.cookies[COOKIE]
    api = {"authorization": f"Bearer {token}"}
    assert (await office.http.get(f"{office.house.url}/api/v1/wallet/names", headers=api)).status_code == 401
    for elsewhere in ("//evil.example", "https://evil.example/admin", "/admin\\@evil", "/adminx", "/admin/\r\nx: y"):
        answer = await office.post("/admin/login", {"token": office.token, "next": elsewhere})
        assert answer.headers["location"] == "/admin", elsewhere
    page = await office.get("/admin")
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "same-origin"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    token = office.http.cookies[COOKIE]
    assert (await office.post("/admin/logout", {})).status_code == 303
    assert (await office.get("/admin", cookie=f"{COOKIE}={token}")).status_code == 303


async def test_a_listed_wallet_gets_in_by_its_signature_once(office: Office) -> None:
    owner, stranger = Wallet(office.house, OWNER_KEY), Wallet(office.house, bytes(range(2, 34)))
    asked = await ask(office, "/message", {"address": stranger.shown})
    assert asked.status_code == 401
    message = (await ask(office, "/message", {"address": owner.shown})).json()["message"]
    assert "Log in as an operator of gw.eth." in message
    wrong = {"message": message, "signature": sign_text(stranger.key, message)}
    assert (await ask(office, "", wrong)).status_code == 403
    right = {"message": message, "signature": sign_text(owner.key, message)}
    entered = await ask(office, "", right)
    assert entered.status_code == 204
    assert (await office.get("/admin")).status_code == 200
    assert (await ask(office, "", right)).status_code == 403
    # What the same wallet signs for the pages of owners is no log-in here.
    theirs = (await owner.post("/wallet/message", {"address": owner.shown})).json()["message"]
    assert (await ask(office, "", {"message": theirs, "signature": sign_text(owner.key, theirs)})).status_code == 403
    [newest] = await office.house.gateway.store.read(NewestEntries(1))
    assert (newest.entry.actor, newest.entry.action) == (address_of(OWNER_KEY), "admin.entered")


async def test_another_token_or_a_shorter_list_of_wallets_ends_sessions(office: Office, tmp_path: Path) -> None:
    gateway, owner = office.house.gateway, Wallet(office.house, OWNER_KEY)
    admin = office.house.settings.admin
    await office.log_in()
    by_token = office.http.cookies[COOKIE]
    message = (await ask(office, "/message", {"address": owner.shown})).json()["message"]
    await ask(office, "", {"message": message, "signature": sign_text(owner.key, message)})
    by_wallet = office.http.cookies[COOKIE]
    assert by_wallet != by_token

    async def known(changes: dict[str, Any]) -> list[str | None]:
        made = admin.model_copy(update=changes)
        access = Access(made, store=gateway.store, clock=now_ms, signing_in=_nobody_signs)
        cookies = [(b"cookie", f"{COOKIE}={each}".encode()) for each in (by_token, by_wallet)]
        return [await access.actor(Request({"type": "http", "headers": [each]})) for each in cookies]

    assert await known({}) == ["operator", owner.address]
    assert await known({"owners": ()}) == ["operator", None]
    assert await known({"token_file": tmp_path / "another.token"}) == [None, None]
    (tmp_path / "short").write_text("abc")
    with pytest.raises(ConfigError, match="less than 20 characters"):
        await known({"token_file": tmp_path / "short"})


async def test_what_is_done_on_pages_stands_in_the_log_and_a_changed_row_is_found(office: Office) -> None:
    await office.log_in()
    store = office.house.gateway.store
    behind, held = str(office.jobs["behind"]), str(office.jobs["held"])
    sure = await office.post("/admin/queue/act", {"action": "hold", "job": behind})
    assert "Hold this job?" in sure.text
    assert await state_of(office, "behind") is JobState.READY
    done = await office.post("/admin/queue/act", {"action": "hold", "job": behind, "sure": "1"})
    assert done.headers["location"] == "/admin/queue?did=hold&done=1&refused=0&informed=0"
    assert await state_of(office, "behind") is JobState.HOLD
    await office.post("/admin/queue/act", {"action": "retry", "job": behind})
    again = await office.post("/admin/queue/act", {"action": "drop", "job": "4711", "sure": "1"})
    assert "refused=1" in again.headers["location"]
    # Whose job it was that a worker of ours set aside was told then.
    dropped = await office.post("/admin/queue/act", {"action": "drop", "all": "held", "adapter": "paper", "sure": "1"})
    assert "done=1&refused=0&informed=0" in dropped.headers["location"]
    entries = [each.entry for each in await store.read(NewestEntries(3))]
    assert [(each.actor, each.action, each.subject) for each in entries] == [
        ("operator", "queue.dropped", f"job:{held}"),
        ("operator", "queue.retried", f"job:{behind}"),
        ("operator", "queue.held", f"job:{behind}"),
    ]
    assert (await office.post("/admin/audit/verify", {})).status_code == 303
    assert "Whole" in (await office.get("/admin/audit")).text
    await store.commit(Sql("UPDATE audit SET detail = '{}' WHERE action = 'queue.retried'"))
    await office.post("/admin/audit/verify", {})
    told = (await office.get("/admin/audit")).text
    assert "Broken" in told
    assert "queue.retried of job:" in told


async def test_no_page_says_what_somebody_wrote_or_unasked_who(office: Office) -> None:
    await office.log_in()
    failing = office.jobs["failing"]
    for page in ("/queue", "/failures", f"/trace?job={failing}", "/trace?failure=1"):
        text = (await office.get(f"/admin{page}")).text
        assert WORDS not in text
        assert "alice.eth" not in text, page
        assert "nobody.eth" not in text, page
        named = (await office.get(f"/admin{page}{'&' if '?' in page else '?'}names=1")).text
        assert "alice.eth" in named or "nobody.eth" in named, page
    [trace] = {each.partition("<")[0] for each in (await office.get("/admin/failures")).text.split('failure=1">')[1:]}
    for sought in (trace, "%3Cletter-17@example.org%3E"):
        traced = (await office.get(f"/admin/trace?id={sought}")).text
        for stage in ("A message that failed", "Written", "Given up, and its sender was told."):
            assert stage in traced
    queued = (await office.get(f"/admin/trace?job={failing}")).text
    [trace] = re.findall(r'data-copy="([0-9a-f]{12})"', queued)
    for sought in (trace, "%3Cfailing@example.org%3E", str(failing)):
        assert f"Job {failing}</h1>" in (await office.get(f"/admin/trace?id={sought}")).text
    link = MessageLink(
        Network("paper"), NativeId("arrived-1"), 0, "c", "0x" + "ab" * 32, "0x" + "cd" * 32, outbound=True, created_at=1
    )
    store = office.house.gateway.store
    status = SetStatus(link.network, link.native_id, "nobody.eth", "delivered", "", now_ms())
    await store.commit_all(MapMessage(link), status)
    for sought in (link.native_id, link.message_hash, link.encrypted_hash):
        passed = (await office.get(f"/admin/trace?id={sought}")).text
        for stage in ("A message that went through", "handed to a delivery service", "Delivered"):
            assert stage in passed
    assert "Nothing in the queue" in (await office.get("/admin/trace?id=000000000000")).text
    for wrong in ("/queue?older=7y", "/trace?job=x&failure=y", "/audit?before=-1", "/queue/lane?name=%00"):
        assert (await office.get(f"/admin{wrong}")).status_code < 500, wrong


async def test_a_node_serves_them_on_a_port_of_their_own_and_only_when_told_to(office: Office, tmp_path: Path) -> None:
    assert not load_settings(office.house.config, {}).admin.enabled
    with pytest.raises(ConfigError, match="nobody could log in"):
        load_settings(office.house.config, {"DM3_GATEWAY__ADMIN__ENABLED": "true"})
    with listen("127.0.0.1", 0) as first, listen("127.0.0.1", 0) as second:
        public, private = first.getsockname()[1], second.getsockname()[1]
    file = tmp_path / "made.token"
    settings = load_settings(office.house.config, {"DM3_GATEWAY__SERVER__PORT": str(public)})
    admin = AdminSettings(enabled=True, port=private, token_file=file, owners=())
    stop = asyncio.Event()
    node = asyncio.create_task(serve_until(settings.model_copy(update={"admin": admin}), {}, stop, office.house.config))

    async def up() -> bool | None:
        try:
            return (await office.http.get(f"http://127.0.0.1:{public}/healthz")).status_code == 200 or None
        except httpx2.HTTPError:
            assert not node.done(), node.exception()
            return None

    await until(up)
    assert (await office.http.get(f"http://127.0.0.1:{public}/admin")).status_code == 404
    assert "Log in" in (await office.http.get(f"http://127.0.0.1:{private}/admin/login")).text
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.read_text().strip()) >= 40
    stop.set()
    await node


def _nobody_signs(_origin: str) -> SigningIn:
    raise AssertionError


async def state_of(office: Office, which: str) -> JobState | None:
    found = await office.house.gateway.store.read(JobNumbered(office.jobs[which]))
    return None if found is None else found.state


async def ask(office: Office, path: str, body: dict[str, str]) -> httpx2.Response:
    return await office.http.post(f"{office.url}/admin/login{path}", json=body, headers={"origin": office.url})
