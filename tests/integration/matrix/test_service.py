"""The application service's interface: tokens, paths, methods and bad bodies, answered as the specification says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.matrix.worlds import MatrixWorld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("matrix")]

EMPTY = json.dumps({"events": []}).encode()


@pytest.mark.attack(56)
@pytest.mark.parametrize(
    ("header", "query", "status", "errcode"),
    [
        ("Bearer {right}", "", 200, ""),
        ("bearer {right}", "", 200, ""),
        ("", "?access_token={right}", 200, ""),
        ("Bearer {right}", "?access_token={right}", 200, ""),
        ("", "", 401, "M_MISSING_TOKEN"),
        ("Basic {right}", "", 401, "M_MISSING_TOKEN"),
        ("{right}", "", 401, "M_MISSING_TOKEN"),
        ("Bearer wrong", "", 403, "M_FORBIDDEN"),
        ("Bearer {right}x", "", 403, "M_FORBIDDEN"),
        ("Bearer \xe4", "", 403, "M_FORBIDDEN"),
        ("", "?access_token=wrong", 403, "M_FORBIDDEN"),
        ("Bearer {right}", "?access_token=wrong", 403, "M_FORBIDDEN"),
        ("Bearer wrong", "?access_token={right}", 403, "M_FORBIDDEN"),
        ("", "?access_token={right}&access_token=wrong", 403, "M_FORBIDDEN"),
    ],
)
@pytest.mark.parametrize("path", ["/transactions/t", "/users/@dm3_x.eth:localhost", "/nowhere"])
async def test_tokens(world: MatrixWorld, path: str, header: str, query: str, status: int, errcode: str) -> None:
    headers = {b"authorization": header.format(right=world.hs_token).encode("latin-1")} if header else {b"x": b"y"}
    url = f"{world.house.url}/_matrix/app/v1{path}{query.format(right=world.hs_token)}"
    method = "PUT" if path.startswith("/transactions") else "GET"
    answer = await world.house.http.request(method, url, content=EMPTY, headers=headers)
    if status == 200 and not path.startswith("/transactions"):
        assert answer.status_code == 404
    else:
        assert (answer.status_code, answer.json().get("errcode", "")) == (status, errcode)


async def test_two_authorization_headers_are_refused(world: MatrixWorld) -> None:
    headers = [("authorization", f"Bearer {world.hs_token}")] * 2
    url = f"{world.house.url}/_matrix/app/v1/transactions/t"
    answer = await world.house.http.put(url, content=EMPTY, headers=headers)
    assert (answer.status_code, answer.json()["errcode"]) == (403, "M_FORBIDDEN")


@pytest.mark.parametrize("prefix", ["/_matrix/app/v1", "/_matrix/app/unstable", ""])
async def test_old_and_new_paths(world: MatrixWorld, prefix: str) -> None:
    http, token = world.house.http, {"authorization": f"Bearer {world.hs_token}"}
    native = await world.native()
    taken = await http.put(f"{world.house.url}{prefix}/transactions/old", content=EMPTY, headers=token)
    assert (taken.status_code, taken.json()) == (200, {})
    found = await http.get(f"{world.house.url}{prefix}/users/{world.ghost(native)}", headers=token)
    assert (found.status_code, found.json()) == (200, {})
    room = await http.get(f"{world.house.url}{prefix}/rooms/%23dm3_x:localhost", headers=token)
    assert (room.status_code, room.json()["errcode"]) == (404, "M_NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "status", "errcode"),
    [
        ("GET", "/transactions/t", 405, "M_UNRECOGNIZED"),
        ("DELETE", "/transactions/t", 405, "M_UNRECOGNIZED"),
        ("POST", "/users/@x:y", 405, "M_UNRECOGNIZED"),
        ("GET", "/ping", 405, "M_UNRECOGNIZED"),
        ("POST", "/ping", 200, ""),
        ("GET", "/transactions", 404, "M_UNRECOGNIZED"),
        ("GET", "/", 404, "M_UNRECOGNIZED"),
        ("GET", "/thirdparty/protocol/irc", 404, "M_NOT_FOUND"),
        ("GET", "/thirdparty/user/irc", 404, "M_NOT_FOUND"),
        ("GET", "/thirdparty/location/dm3", 200, ""),
        ("GET", "/users/%00%ff", 404, "M_NOT_FOUND"),
    ],
)
async def test_paths_and_methods(world: MatrixWorld, method: str, path: str, status: int, errcode: str) -> None:
    answer = await world.ask(method, path, b"{}" if method == "POST" else None)
    assert answer.status_code == status
    if errcode:
        assert answer.json()["errcode"] == errcode
        assert answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        (b"", "M_NOT_JSON"),
        (b"{", "M_NOT_JSON"),
        (b"\xff\xfe", "M_NOT_JSON"),
        (b"[" * 200_000, "M_NOT_JSON"),
        (b"null", "M_BAD_JSON"),
        (b"[]", "M_BAD_JSON"),
        (b"7", "M_BAD_JSON"),
        (b"{}", "M_BAD_JSON"),
        (b'{"events": null}', "M_BAD_JSON"),
        (b'{"events": {}}', "M_BAD_JSON"),
    ],
)
async def test_bad_transactions_are_not_acknowledged(world: MatrixWorld, body: bytes, errcode: str) -> None:
    answer = await world.ask("PUT", "/transactions/bad", body)
    assert (answer.status_code, answer.json()["errcode"]) == (400, errcode)


async def test_a_transaction_that_is_too_large_is_refused_before_it_is_read(world: MatrixWorld) -> None:
    answer = await world.ask("PUT", "/transactions/huge", b" " * (33 * 2**20))
    assert (answer.status_code, answer.json()["errcode"]) == (413, "M_TOO_LARGE")


@pytest.mark.parametrize("extra", [{}, {"ephemeral": None}, {"ephemeral": [None, 7, {"type": "m.typing"}]}, {"x": []}])
async def test_what_is_not_needed_may_be_anything(world: MatrixWorld, extra: dict[str, Any]) -> None:
    answer = await world.ask("PUT", "/transactions/odd", {"events": [], **extra})
    assert (answer.status_code, answer.json()) == (200, {})
