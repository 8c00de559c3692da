"""Alert rules and board: they parse, and what they read is in a scrape of a real node."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import typer
import yaml  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families

from gateway.cli import app
from gateway.operations.metrics import COUNTERS, HISTOGRAMS, PREFIX
from tests.support.adapters import PaperAdapter
from tests.support.house import running_house
from tests.support.promql import PromqlError, parse
from tests.support.waiting import mail_of

HERE: Final = Path(__file__).parents[3] / "deploy" / "monitoring"
OF_PROMETHEUS: Final = {"up": {"job", "instance"}}
EVERYWHERE: Final = {"job", "instance", "le"}
IN_TEXTS: Final = re.compile(r"\{\{ *(?:\$labels\.)?(\w+) *\}\}")

COMMANDS: Final = re.compile(r"`(dm3-gateway [^`]*)`")

Known = Mapping[str, set[str]]


class NearAdapter(PaperAdapter):
    """A network within reach."""

    async def reach(self) -> None:
        """As `ReportsReadiness`."""


@pytest.fixture
async def known(tmp_path: Path) -> Known:
    """Names of samples and their labels, of a node with some work done, a backup, a message that waits."""
    paper = NearAdapter()
    async with running_house(tmp_path / "house", adapters={paper.name: paper}) as house:
        alice = await house.native("native.eth")
        await paper.write("bob@example.org", alice.name, "hello", "n1")
        await mail_of(alice)
        house.settings.operation.backup_folder.mkdir()
        (house.settings.operation.backup_folder / "one").write_bytes(b"x")
        page = (await house.http.get(f"{house.url}/metrics")).text
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
        if not family.samples:
            # One with labels that did not happen; the families of queues are always there.
            found |= {family.name: set(), f"{family.name}_total": set(), f"{family.name}_bucket": set()}
    for name, _, labels in COUNTERS.values():
        assert f"{PREFIX}{name}_total" in found
        found[f"{PREFIX}{name}_total"] |= set(labels)
    for name, _, labels in HISTOGRAMS.values():
        found[f"{PREFIX}{name}_bucket"] |= set(labels)
    for name in ("queue_jobs", "queue_oldest_seconds"):
        found[f"{PREFIX}{name}"] |= {"destination", "state"}
    return found


def check(expression: str, texts: str, known: Known) -> None:
    """It parses, its metrics are there, and so are the labels that it, or a text about it, names."""
    read = parse(expression)
    labels = set[str](EVERYWHERE)
    for metric, matched in read.metrics.items():
        has = OF_PROMETHEUS.get(metric) or known.get(metric)
        assert has is not None, f"no scrape has {metric}"
        assert matched <= has | EVERYWHERE, (metric, matched)
        labels |= has
    assert read.grouped <= labels, (expression, read.grouped)
    assert set(IN_TEXTS.findall(texts)) <= labels, texts


def rules() -> Iterator[dict[str, Any]]:
    """Of all groups."""
    for group in yaml.safe_load((HERE / "alerts.yaml").read_text())["groups"]:
        assert set(group) == {"name", "rules"}
        yield from group["rules"]


def parse_command(line: str) -> None:
    """As `dm3-gateway` reads it, without doing it: raises SyntaxError for what it does not know."""
    own, *words = shlex.split(line)
    assert own == "dm3-gateway"
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        name = words.pop(0) if words else ""
        inner = command.get_command(None, name)
        if inner is None:
            raise SyntaxError(f"{line}: no command {name!r}")
        command = inner
    try:
        command.make_context(command.name, words).close()
    except Exception as error:
        # Typer keeps the class of these to itself.
        raise SyntaxError(f"{line}: {error}") from None


async def test_rules_and_board_read_what_there_is(known: Known, subtests: pytest.Subtests) -> None:
    names, commands = set(), set[str]()
    for rule in rules():
        with subtests.test(rule["alert"]):
            assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
            assert re.fullmatch(r"\d+[smh]", rule.get("for", "0m"))
            assert rule["labels"]["severity"] in {"page", "warn"}
            assert set(rule["annotations"]) == {"summary", "fix"}
            check(rule["expr"], rule["annotations"]["summary"], known)
            told = " ".join(rule["annotations"].values())
            for line in COMMANDS.findall(told):
                parse_command(line)
                commands.add(line)
            assert not re.search(r"dm3-gateway\b", re.sub("`[^`]*`", "", told)), "commands stand in backquotes"
        names.add(rule["alert"])
    assert len(names) > 10
    assert "dm3-gateway queue list --held" in commands
    board = json.loads((HERE / "board.json").read_text())
    assert {each["name"] for each in board["templating"]["list"]} == {"source", "instance"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        with subtests.test(panel["title"]):
            place = panel["gridPos"]
            assert 0 <= place["x"] <= place["x"] + place["w"] <= 24
            for target in panel["targets"]:
                check(target["expr"], target["legendFormat"], known)
    scrape = yaml.safe_load((HERE / "scrape.yaml").read_text())
    assert scrape["scrape_configs"][0]["job_name"] == "dm3-gateway"


@pytest.mark.parametrize(
    "expression",
    [
        "sum by (x (a)",
        "rate(a)",
        "sum(rate(a[5m])",
        "a{b=c}",
        "a >",
        "a b",
        "histogram_quantile(0.9, )",
        "no_such_function(a)",
        'a{b="c"',
    ],
)
def test_a_reader_that_takes_anything_would_prove_nothing(expression: str) -> None:
    with pytest.raises(PromqlError):
        parse(expression)


@pytest.mark.parametrize(
    "line",
    [
        "dm3-gateway",
        "dm3-gateway queue",
        "dm3-gateway lane list",
        "dm3-gateway queue lanes",
        "dm3-gateway queue list --state hold",
        "dm3-gateway queue list hold",
        "dm3-gateway queue list --older",
    ],
)
def test_a_command_that_there_is_not_is_noticed(line: str) -> None:
    with pytest.raises(SyntaxError):
        parse_command(line)


@pytest.mark.parametrize("line", ["dm3-gateway queue list --older 10m --json", "dm3-gateway doctor --only names"])
def test_a_command_that_there_is_is_read(line: str) -> None:
    parse_command(line)
