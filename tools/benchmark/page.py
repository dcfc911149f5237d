"""The numbers in docs/speed.md, from the JSON that the benchmark wrote; for cog."""

import json
from pathlib import Path
from typing import Any

from scripts.reproduce.pages import markdown
from scripts.reproduce.results import Table
from tools.benchmark.contenders import CONTENDERS, FLOOR, OURS
from tools.benchmark.report import seconds

JSON = Path(__file__).parents[2] / "docs" / "benchmark" / "benchmark.json"


def saved() -> dict[str, Any]:
    """Return what the command wrote."""
    return json.loads(JSON.read_text(encoding="utf-8"))


def machine() -> None:
    """Print what the numbers depend on."""
    about, rounds = saved()["machine"], len(saved()["works"][0]["measured"][0]["seconds"])
    print(
        f"\nMedians of {rounds} rounds, on {about['cores']} cores of {about['processor']}, "
        f"Python {about['python']}, NumPy {about['numpy']} with {about['blas'].split()[0]}:\n"
    )


def times() -> None:
    """Print a row for each work: what everybody took, for an epoch, a step or a call."""
    there = {m["contender"] for work in saved()["works"] for m in work["measured"] if m["seconds"]}
    others = [c.name for c in CONTENDERS if c.name in there - {OURS, FLOOR}]
    columns = ["", OURS, *others, FLOOR]
    rows = []
    for work in saved()["works"]:
        part = work["steps"] if work["of_a_step"] else 1
        medians = {
            m["contender"]: seconds(m["median"] / part) for m in work["measured"] if m["seconds"]
        }
        rows.append([work["name"], *(medians.get(who, "") for who in columns[1:])])
    print(f"\n{markdown(Table('', columns, rows))}\n")


def targets() -> None:
    """Print how many of the limits that were aimed at are kept, and how far the others are off."""
    measured = [t for t in saved()["targets"] if t["measured"] is not None]
    off = sorted(t["measured"] / t["limit"] for t in measured if t["measured"] > t["limit"])
    missed = f", {len(off)} missed by factors of {off[0]:.2g} to {off[-1]:.2g}" if off else ""
    print(f"\n{len(measured) - len(off)} of {len(measured)} limits were kept{missed}.\n")
