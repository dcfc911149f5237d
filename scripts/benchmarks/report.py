"""The benchmark as tables, as pictures, and as JSON."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from scripts.benchmarks.contenders import CONTENDERS, FLOOR, OURS
from scripts.benchmarks.growth import Curve
from scripts.benchmarks.rounds import Measured, Result
from scripts.benchmarks.targets import Target


def seconds(value: float) -> str:
    """Write a time with three digits and its unit."""
    unit, factor = next((u for u in (("s", 1), ("ms", 1e3)) if value * u[1] >= 1), ("us", 1e6))
    return f"{value * factor:.3g} {unit}"


def _table(*columns: str) -> Table:
    table = Table(box=box.MARKDOWN, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", no_wrap=column != "spread")
    return table


def _of_one(result: Result, measured: Measured) -> list[str]:
    steps = result.work.steps
    if measured.failure is not None:
        return [measured.contender, "failed", measured.failure, "", "", ""]
    low, high = min(measured.seconds), max(measured.seconds)
    ratio = result.ratio(measured.contender, OURS)
    return [
        measured.contender,
        seconds(measured.median),
        f"{seconds(low)} to {seconds(high)}",
        seconds(measured.median / steps),
        f"{ratio:.3g}" if ratio is not None else "",
        f"{measured.megabytes:.0f}",
    ]


def times(result: Result) -> Table:
    """Return the table of what everybody took for a work, the fastest first."""
    table = _table("who", "median", "spread", "a step", "x NumPy engine", "peak MB")
    for measured in sorted(result.measured, key=lambda m: m.median if m.seconds else np.inf):
        table.add_row(*_of_one(result, measured))
    return table


def growth(curves: Sequence[Curve]) -> Table:
    """Return the table of how the cost grows."""
    table = _table("along", "of", "first", "last", "exponent", "at the end")
    for curve in curves:
        values, ours = curve.axis.values, curve.seconds(OURS)
        table.add_row(
            f"{curve.axis.name} {values[0]:,} to {values[-1]:,}", curve.axis.what,
            seconds(ours[0]), seconds(ours[-1]), f"{curve.slope:.2f}", f"{curve.last_slope:.2f}",
        )  # fmt: skip
    return table


def reached(targets: Sequence[Target], results: Sequence[Result]) -> tuple[Table, bool]:
    """Return the table of targets, and whether all that were measured are reached."""
    table, all_reached = _table("work", "at most", "measured", ""), True
    for target in targets:
        value = target.measured(results)
        missed = value is not None and value > target.limit
        all_reached &= not missed
        verdict = "not measured" if value is None else "MISSED" if missed else "reached"
        table.add_row(target.work, target.text, "" if value is None else f"{value:.3g}", verdict)
    return table, all_reached


def machine() -> dict[str, Any]:
    """Return what the numbers depend on."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "processor": _processor(), "cores": os.cpu_count(), "system": platform.platform(),
        "python": platform.python_version(), "numpy": np.__version__,
        "blas": f"{blas.get('name')} {blas.get('version')}",
    }  # fmt: skip


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def as_json(
    results: Sequence[Result], curves: Sequence[Curve], targets: Sequence[Target]
) -> dict[str, Any]:
    """Return everything that was measured, in seconds."""
    return {
        "machine": machine(),
        "works": [_json(result) for result in results],
        "growth": [
            {"along": c.axis.name, "values": c.axis.values, "exponent": c.slope,
             "works": [_json(result) for result in c.results]}
            for c in curves
        ],
        "targets": [{**asdict(t), "measured": t.measured(results)} for t in targets],
    }  # fmt: skip


def _json(result: Result) -> dict[str, Any]:
    return {
        **asdict(result.work),
        "steps": result.work.steps,
        "measured": [
            {**asdict(m), "median": m.median if m.seconds else None} for m in result.measured
        ],
    }


_ORDER = [c.name for c in CONTENDERS if c.name != FLOOR]


def plot_times(results: Sequence[Result], path: Path) -> None:
    """Plot the time of a step of all works, the floor as a line (PNG)."""
    figure = Figure(figsize=(10, 1 + 0.75 * len(results)), layout="constrained")
    axes = figure.subplots()
    for who, marker in zip(_ORDER, "osD^vP", strict=True):
        points = [(i, r, m) for i, r in enumerate(results) if (m := r.of(who)) is not None]
        if points:
            axes.plot(
                [m.median / r.work.steps for _, r, m in points], [i for i, _, _ in points],
                marker, label=who, markersize=10 if who == OURS else 7,
                color="tab:red" if who == OURS else None, zorder=3 if who == OURS else 2,
            )  # fmt: skip
    floors = [(i, m.median / r.work.steps) for i, r in enumerate(results) if (m := r.of(FLOOR))]
    for n, (i, floor) in enumerate(floors):
        axes.plot([floor] * 2, [i - 0.35, i + 0.35], color="black", label=FLOOR if not n else None)
    axes.set_yticks(range(len(results)), [result.work.name for result in results])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("seconds a step (log scale; less is better)")
    axes.grid(axis="x", which="major", color="0.85")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    figure.savefig(path, format="png", dpi=110)


def plot_growth(curves: Sequence[Curve], path: Path) -> None:
    """Plot the cost along each axis with its exponent, the floor below (PNG)."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    for axes, curve in zip(figure.subplots(2, 2).flat, curves, strict=False):
        axes.loglog(curve.axis.values, curve.seconds(OURS), "o-", color="tab:red", label=OURS)
        axes.loglog(curve.axis.values, curve.seconds(FLOOR), "-", color="black", label=FLOOR)
        axes.set_title(f"{curve.axis.name}: exponent {curve.slope:.2f}")
        axes.set_xlabel(curve.axis.name)
        axes.set_ylabel(f"seconds\n({curve.axis.what})")
        axes.grid(color="0.85")
        axes.legend(frameon=False)
    figure.savefig(path, format="png", dpi=110)
