"""Figures: the middle, the spread, the target, and how they are written down."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.bench.results import Figure, print_table, ratios, write_json

CPU = Figure("submit", "CPU", "µs", (400.0, 600.0, 500.0))
FLOOR = Figure("submit", "floor", "µs", (200.0, 200.0, 250.0))


def test_the_middle_and_the_spread() -> None:
    assert CPU.median == 500.0
    assert CPU.spread == (400.0, 600.0)


@pytest.mark.parametrize(("target", "met"), [(500.0, True), (499.9, False), (None, None)])
def test_the_median_is_held_against_the_target(target: float | None, met: bool | None) -> None:
    assert Figure("row", "CPU", "µs", CPU.rounds, target).met is met


@pytest.mark.parametrize(("target", "met"), [(500.0, True), (500.1, False), (None, None)])
def test_more_can_be_better(target: float | None, met: bool | None) -> None:
    assert Figure("row", "rate", "/s", CPU.rounds, target, at_least=True).met is met


def test_each_round_is_divided_by_its_own_floor() -> None:
    """What slowed the machine down in one round slowed both."""
    assert ratios(CPU, FLOOR) == (2.0, 3.0, 2.0)
    with pytest.raises(ValueError, match="zip"):
        ratios(CPU, Figure("submit", "floor", "µs", (1.0,)))


def test_the_file_holds_everything(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    write_json([CPU, Figure("row", "ratio", "x", (3.0,), 2.5, "note")], {"cores": 2}, path)
    content = json.loads(path.read_text())
    assert content["machine"] == {"cores": 2}
    assert content["figures"][0] == {
        "row": "submit",
        "quantity": "CPU",
        "unit": "µs",
        "median": 500.0,
        "min": 400.0,
        "max": 600.0,
        "rounds": [400.0, 600.0, 500.0],
        "target": None,
        "at_least": False,
        "met": None,
        "note": "",
    }
    assert (content["figures"][1]["met"], content["figures"][1]["note"]) == (False, "note")


def test_the_table_names_a_row_once_and_says_what_is_not_met() -> None:
    text = io.StringIO()
    missed = Figure("submit", "ratio", "x", (3.0,), 2.5)
    rate = Figure("submit", "rate", "/s", (7.0,), 6.0, at_least=True)
    print_table([CPU, FLOOR, missed, rate], Console(file=text, width=120))
    assert text.getvalue().count("submit") == 1
    assert "NOT MET" in text.getvalue()
    assert "400 .. 600" in text.getvalue()
    assert "<= 2.5" in text.getvalue()
    assert ">= 6" in text.getvalue()
