"""Links to files: signed, over in time, served so that no browser runs anything."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from adapters.email.kept_files import DAY_MS, KeptFile, KeptFiles
from adapters.email.links import PATH, LinkedFiles, Links
from gateway.sdk import CanonicalId, Unavailable
from gateway.sdk.testing.context import MemoryValues

BOB = CanonicalId("bob@example.net")
NOW = 1_800_000_000_000
LINKS = Links("https://gw.example", b"s" * 32)
KEY = bytes(range(16))


def token(link: str) -> str:
    return link.removeprefix(f"https://gw.example{PATH}/").partition("/")[0]


def test_a_link_works_until_its_time_is_over() -> None:
    link = LINKS.to(KEY, NOW + 5_000, "my file.pdf")
    assert link.endswith("/my%20file.pdf")
    assert len(LINKS.to(KEY, NOW)) < 90
    assert LINKS.file_key(token(link), NOW) == KEY
    assert LINKS.file_key(token(link), NOW + 5_000) is None


@pytest.mark.parametrize("number", range(43))
def test_no_character_of_a_link_can_be_changed(number: int) -> None:
    made = token(LINKS.to(KEY, NOW + 5_000))
    changed = made[:number] + ("A" if made[number] != "A" else "B") + made[number + 1 :]
    assert LINKS.file_key(changed, NOW) is None
    assert Links("https://gw.example", b"t" * 32).file_key(made, NOW) is None


@pytest.mark.parametrize("given", ["", "a", "a" * 5_000, "é", "%00", "=" * 50])
def test_what_is_no_link(given: str) -> None:
    assert LINKS.file_key(given, NOW) is None


async def blocks(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def kept(files: KeptFiles, name: str, kind: str, data: bytes) -> KeptFile:
    return await files.keep(name, kind, blocks(data), of=BOB, until=NOW + DAY_MS)


def served(files: KeptFiles, now: int = NOW) -> TestClient:
    return TestClient(Starlette(routes=LinkedFiles(lambda: (LINKS, files, now)).routes()), base_url=LINKS.base)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("image/png", "image/png"),
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("a/b\r\nX: y", "application/octet-stream"),
    ],
)
async def test_files_are_saved_and_never_shown(kind: str, told: str) -> None:
    files = KeptFiles(MemoryValues(), lambda: NOW, 10**6)
    file = await kept(files, 'grün\r\n"x".html', kind, b"<script>" * 1_000)
    answer = served(files).get(LINKS.to(file.key, file.until, "anything"))
    assert (answer.status_code, answer.content) == (200, b"<script>" * 1_000)
    assert answer.headers["content-type"].partition(";")[0] == told
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''gr%C3%BCn%0D%0A%22x%22.html"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["content-length"] == "8000"
    head = served(files).head(LINKS.to(file.key, file.until))
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "8000")


async def test_what_is_over_or_gone_is_a_sentence() -> None:
    files = KeptFiles(MemoryValues(), lambda: NOW, 10**6)
    file = await kept(files, "a.txt", "text/plain", b"x")
    link = LINKS.to(file.key, file.until)
    assert served(files, file.until).get(link).status_code == 404
    assert served(files).get(f"{PATH}/nonsense").status_code == 404
    await files.forget(file)
    answer = served(files).get(link)
    assert (answer.status_code, answer.text) == (404, "This link is not valid, or its time is over.\n")


def test_a_closed_adapter_says_so() -> None:
    def closed() -> tuple[Links, KeptFiles, int]:
        raise Unavailable("closed")

    client = TestClient(Starlette(routes=LinkedFiles(closed).routes()), base_url=LINKS.base)
    assert client.get(LINKS.to(KEY, NOW)).status_code == 503
