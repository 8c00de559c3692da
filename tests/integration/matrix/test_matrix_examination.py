"""`doctor` and Matrix: a real homeserver that knows us and reaches us, and every way in which it might not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.matrix.adapter import MatrixAdapter
from adapters.matrix.settings import MatrixSettings
from gateway.sdk import Finding, State
from tests.integration.ens.servers import Asked, Script, response, scripted
from tests.integration.matrix.worlds import MatrixWorld
from tests.support.examining import be_patient, finding

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("matrix")]

NOBODY = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)


def table(world: MatrixWorld, **other: Any) -> MatrixSettings:
    return world.adapter._settings.model_copy(update=other)


async def examined(world: MatrixWorld, **other: Any) -> tuple[Finding, ...]:
    return tuple(await MatrixAdapter.examine(table(world, **other), world.house.url))


async def test_a_homeserver_that_knows_us(world: MatrixWorld) -> None:
    settings = table(world)
    file = settings.as_token_file.parent / "matrix-registration.yaml"
    file.write_text(MatrixAdapter.registration(settings, world.house.url))
    found = await examined(world)
    states = {each.check: each.state for each in found}
    assert states == dict.fromkeys(
        ("versions", "whoami", "ping", "ghosts", "exclusive", "registration", "media"), State.OK
    ), found
    other = finding(await examined(world, bot="other"), "registration")
    assert (other.state, "not what the settings make" in other.found) == (State.FAIL, True), other
    file.unlink()
    assert finding(await examined(world), "registration").state is State.WARN


FAULTS: list[tuple[str, State, str, dict[str, Any]]] = [
    ("versions", State.FAIL, "does not answer", {"homeserver_url": NOBODY}),
    ("whoami", State.FAIL, "the settings say", {"bot": "other"}),
    ("whoami", State.FAIL, "the settings say", {"server_name": "other.example"}),
    ("ghosts", State.FAIL, "not in the namespace", {"server_name": "other.example"}),
    ("media", State.WARN, "have at most", {"max_media_bytes": 10**12}),
    ("whoami", State.FAIL, "does not take our token", {"homeserver_url": NOBODY}),
    ("ping", State.FAIL, "does not reach us", {"homeserver_url": NOBODY}),
    ("ghosts", State.FAIL, "could not be asked", {"homeserver_url": NOBODY}),
    ("exclusive", State.FAIL, "could not be asked", {"homeserver_url": NOBODY}),
    ("media", State.FAIL, "could not be asked", {"homeserver_url": NOBODY}),
]


@pytest.mark.parametrize(("check", "state", "words", "other"), FAULTS)
async def test_a_fault_is_found(
    world: MatrixWorld, check: str, state: State, words: str, other: dict[str, Any]
) -> None:
    told = finding(await examined(world, **other), check)
    assert (told.state, words in told.found, bool(told.fix)) == (state, True, True), told


async def test_a_token_that_the_homeserver_does_not_know(world: MatrixWorld, tmp_path: Path) -> None:
    (tmp_path / "as.token").write_text("another-token-of-ours")
    found = await examined(world, as_token_file=tmp_path / "as.token")
    assert (told := finding(found, "whoami")).state is State.FAIL
    assert "M_UNKNOWN_TOKEN" in told.found
    assert "app_service_config_files" in told.fix
    assert finding(found, "registration").state is State.WARN


def homeserver(answers: Mapping[str, tuple[int, Any]]) -> Script:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        status, body = next((told for part, told in answers.items() if part in asked.path), (404, {}))
        writer.write(response(status, json.dumps(body).encode()))

    return script


@pytest.mark.parametrize(
    ("check", "state", "answers"),
    [
        ("exclusive", State.FAIL, {"register/available": (200, {"available": True})}),
        ("exclusive", State.OK, {"register/available": (403, {"errcode": "M_FORBIDDEN"})}),
        ("exclusive", State.WARN, {"register/available": (400, {"errcode": "M_INVALID_USERNAME"})}),
        ("ping", State.WARN, {"/ping": (404, {"errcode": "M_UNRECOGNIZED"})}),
        ("ping", State.FAIL, {"/ping": (400, {"errcode": "M_URL_NOT_SET"})}),
        ("ping", State.FAIL, {"/ping": (502, {"errcode": "M_CONNECTION_FAILED"})}),
        ("versions", State.FAIL, {"/versions": (200, {})}),
        ("media", State.OK, {}),
    ],
)
async def test_a_homeserver_of_another_kind(
    tmp_path: Path, check: str, state: State, answers: dict[str, tuple[int, Any]]
) -> None:
    for name in ("as", "hs"):
        (tmp_path / f"{name}.token").write_text("a-token-of-ours-" + name)
    async with scripted(homeserver(answers)) as server:
        settings = MatrixSettings(
            homeserver_url=server.url("").rstrip("/"),
            server_name="example.org",
            as_token_file=tmp_path / "as.token",
            hs_token_file=tmp_path / "hs.token",
        )
        told = finding(await MatrixAdapter.examine(settings, NOBODY), check)
    assert told.state is state, told
