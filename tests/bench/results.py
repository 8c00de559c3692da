"""Figures: what was measured in each round, what it is held against, and how both are written down."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity of one row, in each round."""

    row: str
    quantity: str
    unit: str
    rounds: tuple[float, ...]
    target: float | None = None
    """The greatest median that is good; None for a figure that is only told."""
    note: str = ""
    at_least: bool = False
    """The target is the least median that is good."""

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest round."""
        return min(self.rounds), max(self.rounds)

    @property
    def met(self) -> bool | None:
        """Whether the median keeps the target; None without one."""
        if self.target is None:
            return None
        return self.median >= self.target if self.at_least else self.median <= self.target

    def to_json(self) -> dict[str, Any]:
        """All of it, for programs that compare runs."""
        low, high = self.spread
        return {
            "row": self.row,
            "quantity": self.quantity,
            "unit": self.unit,
            "median": self.median,
            "min": low,
            "max": high,
            "rounds": list(self.rounds),
            "target": self.target,
            "at_least": self.at_least,
            "met": self.met,
            "note": self.note,
        }


def ratios(figure: Figure, floor: Figure) -> tuple[float, ...]:
    """Each round of one figure by the same round of its floor: what slowed the machine down slowed both."""
    return tuple(mine / least for mine, least in zip(figure.rounds, floor.rounds, strict=True))


def print_table(figures: Sequence[Figure], console: Console) -> None:
    """One line for each figure."""
    table = Table("row", "quantity", "median", "spread", "target", "", "note")
    for index, figure in enumerate(figures):
        low, high = figure.spread
        table.add_row(
            figure.row if index == 0 or figures[index - 1].row != figure.row else "",
            figure.quantity,
            f"{_short(figure.median)} {figure.unit}",
            f"{_short(low)} .. {_short(high)}",
            "" if figure.target is None else f"{'>=' if figure.at_least else '<='} {_short(figure.target)}",
            {None: "", True: "met", False: "NOT MET"}[figure.met],
            figure.note,
        )
    console.print(table)


def write_json(figures: Sequence[Figure], machine: dict[str, object], path: Path) -> None:
    """``{machine, figures}``."""
    content = {"machine": machine, "figures": [figure.to_json() for figure in figures]}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}" if abs(value) >= 100 else f"{value:.3g}"
