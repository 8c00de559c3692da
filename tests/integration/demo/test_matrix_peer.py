"""The demo's homeserver: missing, ended early, or the caller's own."""

from __future__ import annotations

import asyncio
import shutil
import signal
from pathlib import Path

import pytest

from gateway.demo.synapse import MISSING, VARIABLE, find_synapse
from gateway.operations.adapter_types import registration
from gateway.operations.installation import matrix_table
from gateway.web.server import listen
from tests.integration.demo.test_demo import end, start
from tests.support.require import require
from tests.support.synapse import synapse_server
from tests.support.waiting import until


def write_registration(folder: Path, homeserver_url: str, gateway_url: str) -> Path:
    for which in ("as", "hs"):
        (folder / f"{which}.token").write_text(which * 20)
    table = matrix_table(homeserver_url, "localhost") | {"as_token_file": "as.token", "hs_token_file": "hs.token"}
    file = folder / "registration.yaml"
    file.write_text(registration("matrix", {"matrix": table}, base=folder, public_url=gateway_url))
    return file


async def test_matrix_that_cannot_be_had_is_an_error_when_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "no-such-python")
    process = await start(tmp_path / "world", "--once", "--only", "matrix")
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert "deploy/synapse.lock" in err.decode()
    assert b"Traceback" not in err


async def test_ctrl_c_before_the_story_ends_synapse_too(tmp_path: Path) -> None:
    require(find_synapse(), MISSING)
    require(shutil.which("ps"), "ps is not installed (Debian, Ubuntu: apt-get install procps)")
    config = str(tmp_path / "world" / "synapse" / "homeserver.yaml")

    async def runs() -> bool | None:
        listed = await asyncio.create_subprocess_exec("ps", "-A", "-ww", "-o", "args", stdout=asyncio.subprocess.PIPE)
        out, _ = await listed.communicate()
        return config in out.decode() or None

    process = await start(tmp_path / "world", "--only", "matrix")
    try:
        assert await until(runs, 60)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 30)
    finally:
        await end(process)
    assert process.returncode == 1
    assert "Stopped before the story was over" in out.decode()
    assert err == b"", err.decode()
    assert not await runs()


async def test_a_homeserver_of_the_caller_s_can_be_given(tmp_path: Path) -> None:
    """Nobody can be registered at this one: the demo says so, tells the rest and serves."""
    with listen("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    async with synapse_server(tmp_path / "synapse", start=False) as synapse:
        file = write_registration(tmp_path, synapse.url, f"http://127.0.0.1:{port}")
        synapse.registrations.append(file)
        await synapse.start()
        given = ("--matrix-homeserver", synapse.url, "--matrix-registration", str(file))
        process = await start(tmp_path / "world", "--once", "--only", "matrix", *given, "--gateway-port", str(port))
        out, err = await asyncio.wait_for(process.communicate(), 60)
    told = out.decode()
    assert process.returncode == 0, told + err.decode()
    assert err == b"", err.decode()
    assert "nobody can be registered" in told
    assert "All 5 steps held" in told
    assert "Matrix had no chapter" in told


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--matrix-homeserver", "http://127.0.0.1:9"), "go together"),
        (("--matrix-homeserver", "http://127.0.0.1:9", "--matrix-registration", "{file}"), "does not answer"),
        (("--matrix-homeserver", "nonsense", "--matrix-registration", "{file}"), "homeserver_url"),
        (("--matrix-homeserver", "http://127.0.0.1:9", "--matrix-registration", "{file}.no"), "cannot be read"),
        (("--matrix-homeserver", "http://127.0.0.1:9", "--matrix-registration", "{file}", "--no-matrix"), "no part"),
    ],
    ids=["one of two", "nobody answers", "no address", "no file", "left out"],
)
async def test_a_homeserver_that_cannot_be_used_is_told(tmp_path: Path, flags: tuple[str, ...], said: str) -> None:
    file = write_registration(tmp_path, "http://127.0.0.1:9", "http://127.0.0.1:8080")
    process = await start(tmp_path / "world", "--once", *(flag.format(file=file) for flag in flags))
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode in (1, 2)
    assert said in err.decode()
    assert b"Traceback" not in err
