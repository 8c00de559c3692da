"""`python -m tests.bench`: every row runs with tiny numbers, and writes figures of the right shape."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.demo import prosody
from gateway.demo.prosody import find_prosody
from gateway.demo.synapse import MISSING, find_synapse
from tests.bench import peer, tasks
from tests.bench.__main__ import ROWS
from tests.bench.rows import bridge, mail, queue, submit_postgresql, xmpp
from tests.bench.scale import TINY
from tests.support import postgres
from tests.support.mail import postfix
from tests.support.mail.postfix import find_postfix
from tests.support.postgres import find_postgres
from tests.support.require import require

FIELDS = {"row", "quantity", "unit", "median", "min", "max", "rounds", "target", "at_least", "met", "note"}
PEERS = {"mautrix, in turn with it", "mautrix, CPU per event", "taken by mautrix", "CPU by mautrix"}
THE_OTHER_QUEUE = {
    "procrastinate, in turn",
    "jobs by procrastinate",
    "procrastinate, CPU",
    "PostgreSQL for it",
}
"""Only deploy/bench.sh installs the peers."""
MAY_BE_NOTHING = {"memory grows", "then, until the envelope", "then, until the client"}
"""One can see the envelope at the same moment as the 250, or as the message."""
QUANTITIES = {
    "submit": {"CPU per envelope", "floor, in turn with it", "CPU by floor", "latency p50", "latency p99", "accepted"},
    "submit-postgresql": {
        "accepted",
        "inserts alone, in turn",
        "accepted by inserts",
        "envelopes in a commit",
        "CPU of the node",
        "CPU of PostgreSQL",
        "CPU of the inserts",
        "PostgreSQL for them",
        "latency p99",
        "by one node",
        "CPU of both nodes",
    },
    "queue": {
        "jobs, commit to completion",
        "CPU per job",
        "CPU of PostgreSQL",
        *(THE_OTHER_QUEUE if tasks.installed() else ()),
    },
    "pick-up": {"CPU", "the same rows, only read", "CPU by reading", "latency", "body"},
    "acknowledge": {"latency", "CPU", "the same rows, only read", "CPU by reading"},
    "look-up": {
        "CPU per look-up",
        "a signature, in turn with it",
        "CPU by signature",
        "CPU, first pass",
        "latency p50",
        "latency p99",
        "answered",
        "CPU, hot set",
        "a signature, in turn",
        "hot set by signature",
    },
    "growth": {
        f"{operation}, {among}"
        for operation, sizes in {
            "submit": TINY.growing_mailbox,
            f"page of {TINY.growing_mailbox[0]}": TINY.growing_mailbox,
            "acknowledge": TINY.growing_mailbox,
            "look-up": TINY.growing_names,
            "claim's look": TINY.growing_names,
            "lease and complete": TINY.growing_lanes,
        }.items()
        for among in (*sizes, "grows")
    },
    "footprint": {"memory (RSS)", "start to /healthz", "start to /readyz", "CPU of the start"},
    "import": {"file to names", "CPU", "the same file again"},
    "transactions": {
        "taken",
        "CPU per event",
        "latency p50",
        "latency p99",
        "taken while handling",
        "CPU until handled",
        *(PEERS if peer.installed() else ()),
    },
    "conversation": {"CPU per message", "CPU of Synapse", "time per message"},
    "xmpp": {
        "CPU per message",
        "slixmpp echo, in turn",
        "CPU by echo",
        "CPU, one conversation",
        "latency p50",
        "echo, latency p50",
        "committed",
    },
    "mail": {
        "taken",
        "Postfix, in turn",
        "taken by Postfix",
        "CPU per mail",
        "Postfix, CPU",
        "latency p50",
        "wait for the loop, p99",
        "longest wait",
        "without them, p99",
        "memory by its size",
    },
    "bridge": {
        "latency p50",
        "mail, until the 250",
        "then, until the envelope",
        "then, until the client",
        "sum of the parts",
    },
    "soak": {
        "submitted",
        "memory (RSS)",
        "memory grows",
        "open files",
        "files, last third",
        "latency p99",
        "p99, last third",
    },
}


def bench(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", *arguments, "--out", str(folder / "bench.json")],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **environment},
    )


@pytest.mark.parametrize("row", ROWS)
def test_a_row(row: str, tmp_path: Path) -> None:
    require(row != "conversation" or find_synapse(), MISSING)
    require(row not in ("xmpp", "bridge") or find_prosody(), prosody.MISSING)
    require(row not in ("queue", "submit-postgresql") or find_postgres(), postgres.MISSING)
    require(row != "mail" or find_postfix(), postfix.MISSING)
    require(row != "mail" or os.geteuid() == 0, mail.NEEDS_ROOT)
    done = bench("--tiny", row, folder=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    figures: list[dict[str, Any]] = json.loads((tmp_path / "bench.json").read_text())["figures"]
    assert {figure["quantity"] for figure in figures} == QUANTITIES[row]
    for figure in figures:
        assert figure.keys() == FIELDS
        assert 0 < figure["min"] <= figure["median"] <= figure["max"] or figure["quantity"] in MAY_BE_NOTHING
        assert figure["rounds"]
        assert figure["quantity"] in done.stdout
    assert "Recorded earlier" in done.stdout


def test_a_row_that_does_not_exist(tmp_path: Path) -> None:
    done = bench("submitt", folder=tmp_path)
    assert done.returncode == 2
    assert "no such row: submitt" in done.stderr
    assert not (tmp_path / "bench.json").exists()


def test_without_a_homeserver_its_row_is_left_out(tmp_path: Path) -> None:
    done = bench("--tiny", "conversation", folder=tmp_path, DM3_SYNAPSE_PYTHON="/nowhere")
    assert done.returncode == 0, done.stderr[-2000:]
    assert MISSING in done.stderr
    assert json.loads((tmp_path / "bench.json").read_text())["figures"] == []


@pytest.mark.parametrize("row", [xmpp, bridge])
async def test_without_an_xmpp_server_its_rows_are_left_out(
    row: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(row, "find_prosody", lambda: None)
    assert await row.measure(tmp_path, TINY) == []
    assert prosody.MISSING in capsys.readouterr().err


@pytest.mark.parametrize("row", [queue, submit_postgresql])
async def test_without_postgresql_its_rows_are_left_out(
    row: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(row, "find_postgres", lambda: None)
    assert await row.measure(tmp_path, TINY) == []
    assert postgres.MISSING in capsys.readouterr().err


async def test_without_a_mail_server_its_row_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mail, "find_postfix", lambda: False)
    assert await mail.measure(tmp_path, TINY) == []
    assert postfix.MISSING in capsys.readouterr().err


async def test_a_mail_server_is_not_started_by_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mail, "find_postfix", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert await mail.measure(tmp_path, TINY) == []
    assert mail.NEEDS_ROOT in capsys.readouterr().err
