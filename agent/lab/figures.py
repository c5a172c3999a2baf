"""Measured values with their spread and goal, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured: every single value, and the goal for one statistic of them."""

    name: str
    unit: str
    values: tuple[float, ...]
    goal: float | None = None
    statistic: str = "p95"
    """`median`, `p95`, `p99` or `max`."""

    def value(self, statistic: str) -> float | None:
        """Return a statistic, None without values. Percentiles are nearest-rank: one of the values, never between."""
        if not self.values:
            return None
        if statistic == "median":
            return median(self.values)
        ordered = sorted(self.values)
        share = {"p95": 95, "p99": 99, "max": 100}[statistic]
        return ordered[-(-len(ordered) * share // 100) - 1]

    @property
    def met(self) -> bool | None:
        """Tell whether the goal is met, None without one; nothing measured meets no goal."""
        if self.goal is None:
            return None
        value = self.value(self.statistic)
        return value is not None and value <= self.goal

    def plain(self) -> dict[str, object]:
        """Return everything, for JSON."""
        statistics = {name: self.value(name) for name in ("median", "p95", "p99", "max")}
        return {
            "name": self.name, "unit": self.unit, "count": len(self.values), **statistics, "goal": self.goal,
            "goal_is_for": self.statistic if self.goal is not None else None, "met": self.met,
            "values": list(self.values),
        }  # fmt: skip


def table(figures: Sequence[Figure]) -> str:
    """Return the figures in aligned columns."""
    rows: list[tuple[str, ...]] = [("figure", "n", "median", "p95", "p99", "max", "unit", "goal", "")]
    for figure in figures:
        shown = [_number(figure.value(name)) for name in ("median", "p95", "p99", "max")]
        goal = "" if figure.goal is None else f"{figure.statistic} <= {figure.goal:g}"
        verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
        rows.append((figure.name, str(len(figure.values)), *shown, figure.unit, goal, verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
