"""Health, the front page, and errors of routes that do not exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.operations.dm3_client import Dm3Client
from tests.support.house import House, running_house
from tests.support.routes import AnyValue, operations

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


@pytest.mark.weakness(22)
async def test_alive_and_ready(house: House) -> None:
    assert (await house.http.get(f"{house.url}/healthz")).json() == {"status": "ok"}
    ready = await house.http.get(f"{house.url}/readyz")
    components = dict.fromkeys(("store", "keys", "worker", "chain", "tombstones", "resolver key"), "ok")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "components": components})


@pytest.mark.weakness(22)
async def test_alive_and_degraded_without_a_chain(tmp_path: Path) -> None:
    nowhere = {"DM3_GATEWAY__CHAIN__RPC_URLS": '["http://127.0.0.1:9"]'}
    async with running_house(tmp_path / "blind", overrides=nowhere, working=False) as house:
        assert (await house.http.get(f"{house.url}/healthz")).status_code == 200
        ready = await house.http.get(f"{house.url}/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert ready.json()["components"]["chain"] == "ChainUnavailable"


@pytest.mark.attack(39)
async def test_degraded_while_fewer_servers_of_the_chain_answer_than_must_agree(house: House, tmp_path: Path) -> None:
    one_of_two = {
        "DM3_GATEWAY__CHAIN__RPC_URLS": f'["{house.chain.url}", "http://127.0.0.1:9"]',
        "DM3_GATEWAY__CHAIN__QUORUM": "2",
    }
    async with running_house(tmp_path / "halfblind", chain=house.chain, overrides=one_of_two, working=False) as half:
        ready = await half.http.get(f"{half.url}/readyz")
        assert ready.json()["components"]["chain"] == "ChainUnavailable"


async def test_the_front_page_says_what_this_is_and_loads_nothing_from_elsewhere(house: House) -> None:
    page = await house.http.get(house.url)
    assert page.status_code == 200
    assert "ds.gw.eth" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    style = await house.http.get(f"{house.url}/static/site.css")
    assert style.headers["content-type"].startswith("text/css")


async def test_interfaces_are_described(house: House) -> None:
    paths = (await house.http.get(f"{house.url}/openapi.json")).json()["paths"]
    assert "/ds/auth/{name}" in paths
    assert "/healthz" in paths
    page = await house.http.get(f"{house.url}/api/docs")
    assert page.status_code == 200
    assert 'href="/openapi.json"' in page.text
    for path, methods in paths.items():
        for method in methods:
            assert f"{method.upper()} {path}</code>" in page.text


async def test_the_page_of_the_interfaces_loads_nothing_from_elsewhere(house: House) -> None:
    page = await house.http.get(f"{house.url}/api/docs")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    loaded = set(re.findall(r'(?:src|href)="([^"]*)"', page.text))
    assert {"/static/site.css", "/openapi.json"} <= loaded
    assert all(each.startswith(("/", "#")) and not each.startswith("//") for each in loaded)
    for other in ("/docs", "/redoc"):
        assert (await house.http.get(house.url + other)).status_code == 404


@pytest.mark.weakness(9)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/no/such/thing", 404), ("PUT", "/healthz", 405), ("GET", "/ds/rpc", 405), ("GET", "/static/no.css", 404)],
)
async def test_what_does_not_exist_is_a_sentence_in_json(house: House, method: str, path: str, status: int) -> None:
    answer = await house.http.request(method, house.url + path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert answer.json()["error"].endswith(".")
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.weakness(9)
async def test_every_error_of_every_path_is_json_with_a_sentence(
    house: House, alice: Dm3Client, subtests: pytest.Subtests
) -> None:
    """Wrong methods, paths that are almost right, names that nobody has: never an empty answer, never HTML."""
    by_path: dict[str, set[str]] = {"/": {"GET"}, "/ccip": {"GET"}}
    for each in await operations(house):
        by_path.setdefault(each.path(AnyValue()), set()).add(each.method)
    wrong = [(m, path, 405) for path, known in by_path.items() for m in METHODS - known]
    wrong += [("GET", f"{path.rstrip('/')}/no/such/thing", 404) for path in by_path if path != "/ccip"]
    wrong += [("GET", f"/ds/{kind}/nobody.eth", 404) for kind in ("auth", "profile")]
    assert len(wrong) > 80
    for method, path, status in wrong:
        with subtests.test(f"{method} {path}"):
            answer = await house.http.request(method, house.url + path)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
            (sentence,) = answer.json().values()
            assert sentence
