"""The benchmark as tables, as pictures, and as JSON."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from rich import box
from rich.table import Table

from tools.benchmark.contenders import FLOOR, OURS
from tools.benchmark.growth import Curve
from tools.benchmark.rounds import Measured, Result
from tools.benchmark.targets import Target


def seconds(value: float) -> str:
    """Write a time with three digits and its unit."""
    unit, factor = next((u for u in (("s", 1), ("ms", 1e3)) if value * u[1] >= 1), ("us", 1e6))
    return f"{value * factor:.3g} {unit}"


def _table(*columns: str) -> Table:
    table = Table(box=box.MARKDOWN, pad_edge=False)
    for i, column in enumerate(columns):
        # Numbers stay whole where the terminal is narrow.
        wraps = column in ("spread", "along", "of", "work")
        table.add_column(column, justify="right" if i else "left", no_wrap=not wraps)
    return table


def _of_one(result: Result, measured: Measured) -> list[str]:
    steps = result.work.steps
    if measured.failure is not None:
        return [measured.contender, "failed", measured.failure, "", "", ""]
    low, high = _range(measured)
    ratio = result.ratio(measured.contender, OURS)
    return [
        measured.contender,
        seconds(measured.median),
        f"{seconds(low)} to {seconds(high)}",
        seconds(measured.median / steps),
        f"{ratio:.3g}" if ratio is not None else "",
        f"{measured.megabytes:.0f}",
    ]


def _range(measured: Measured) -> tuple[float, float]:
    return min(measured.seconds), max(measured.seconds)


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


def plot_times(results: Sequence[Result], path: Path) -> None:
    """Plot what everybody took for each work, one panel each, the floor as a line (PNG)."""
    rows = -(-len(results) // 2)
    figure = Figure(figsize=(11, 0.5 + 2.1 * rows), layout="constrained")
    panels = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes in panels[len(results) :]:
        axes.set_axis_off()
    for axes, result in zip(panels, results, strict=False):
        _panel(axes, result)
    figure.suptitle("Time on a log scale, less is better; the black line is the sgemm floor")
    figure.savefig(path, format="png", dpi=100)


def _panel(axes: Axes, result: Result) -> None:
    who = sorted(
        (m for m in result.measured if m.seconds and m.contender != FLOOR),
        key=lambda m: m.median,
        reverse=True,
    )
    part = result.work.steps if result.work.of_a_step else 1
    for i, measured in enumerate(who):
        middle, *ends = (t / part for t in (measured.median, *_range(measured)))
        colour = "tab:red" if measured.contender == OURS else "tab:blue"
        axes.plot(ends, [i, i], color=colour, alpha=0.4)
        axes.plot(middle, i, "o", color=colour)
        axes.annotate(
            seconds(middle), (middle, i), (0, 6), fontsize=8,
            textcoords="offset points", ha="center",
        )  # fmt: skip
    if (floor := result.of(FLOOR)) is not None:
        axes.axvline(floor.median / part, color="black")
    axes.set_xscale("log")
    axes.margins(x=0.12, y=0.2)
    _in_seconds(axes.xaxis)
    axes.set_yticks(range(len(who)), [measured.contender for measured in who])
    axes.set_title(result.work.name, fontsize=10)
    axes.grid(axis="x", color="0.9")


def _in_seconds(axis: Axis) -> None:
    """Label a logarithmic axis at 1, 10, ..., if short at 1, 3, 10, ..., with their units."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 3) if high / low < 100 else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, position: seconds(value)))
    axis.set_minor_formatter(NullFormatter())


def plot_growth(curves: Sequence[Curve], path: Path) -> None:
    """Plot the cost along each axis with its exponent, the floor below (PNG)."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    for axes, curve in zip(figure.subplots(2, 2).flat, curves, strict=False):
        values = curve.axis.values
        axes.loglog(values, curve.seconds(OURS), "o-", color="tab:red", label=OURS)
        axes.loglog(values, curve.seconds(FLOOR), "-", color="black", label=FLOOR)
        axes.set_title(f"{curve.axis.name}: exponent {curve.slope:.2f}")
        axes.set_xlabel(curve.axis.name)
        axes.set_xticks(values, [f"{value:,}" for value in values], rotation=30)
        axes.minorticks_off()
        _in_seconds(axes.yaxis)
        axes.set_ylabel(curve.axis.what)
        axes.grid(color="0.85")
        axes.legend(frameon=False)
    figure.savefig(path, format="png", dpi=90)
