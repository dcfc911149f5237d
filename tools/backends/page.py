"""The tables of docs/backends.md, from the JSON that the command wrote; for cog."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from parity.comparing.rows import Verdict
from scripts.reproduce.pages import markdown
from scripts.reproduce.results import Table

JSON = Path(__file__).parents[2] / "docs" / "backends" / "measured.json"
TITLES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
DTYPES = ("float64", "float32")
PASSED = (Verdict.IDENTICAL.value, Verdict.ROUNDING.value)
REFUSED = "refused"
# What a twin is refused of, with a line that says why.
EXPECTED = ("MultiHeadAttention on jax in float64",)
# What is measured by one backend, of the JSON's list.
Found = Sequence[Mapping[str, Any]]


def saved() -> list[dict[str, Any]]:
    """Return what the command wrote."""
    return json.loads(JSON.read_text(encoding="utf-8"))


def failures(found: Found) -> list[str]:
    """Return what is not the same up to rounding, in words."""
    compared = [
        (f"{entry['name']} on {one['backend']} in {dtype}", entry[dtype])
        for one in found
        for entry in one["agreement"]
        for dtype in DTYPES
    ]
    compared += [(f"training on {one['backend']}", one["training"]["checked"]) for one in found]
    return [
        name
        for name, entry in compared
        if entry["verdict"] not in PASSED and not (entry["verdict"] == REFUSED and name in EXPECTED)
    ]


def everything(found: Found) -> None:
    """Print all tables."""
    for part in (versions, agreement, fallbacks, losses, constants, ways, training):
        part(found)


def versions(found: Found | None = None) -> None:
    """Print what was measured."""
    found = saved() if found is None else found
    named = {TITLES.get(k, "Keras"): v for one in found for k, v in one["versions"].items()}
    print(f"\nMeasured with {', '.join(f'{name} {v}' for name, v in named.items())}.\n")


def agreement(found: Found | None = None) -> None:
    """Print for every kind of thing the worst error in units of its bound."""
    found = saved() if found is None else found
    columns = ["", *(f"{TITLES[one['backend']]} {dtype}" for one in found for dtype in DTYPES)]
    rows: list[list[str]] = []
    group = ""
    for i, entry in enumerate(found[0]["agreement"]):
        if entry["group"] != group:
            group = entry["group"]
            rows.append([f"**{group}**", *[""] * (len(columns) - 1)])
        cells = [_share(one["agreement"][i][dtype]) for one in found for dtype in DTYPES]
        rows.append([entry["name"], *cells])
    print(f"\n{markdown(Table('', columns, rows))}\n")


def _share(entry: Mapping[str, Any]) -> str:
    if entry["verdict"] == REFUSED:
        return REFUSED
    if entry["verdict"] not in PASSED:
        return f"**{entry['verdict']}**"
    return f"{entry['ratio']:.2g}"


def fallbacks(found: Found | None = None) -> None:
    """Print how exact operations on float64 are, as Keras has them and as they are here."""
    found = saved() if found is None else found
    titles = [TITLES[one["backend"]] for one in found]
    parts = ("fallbacks as Keras has it", "fallbacks")
    _measurements(
        [f"{t}, {how}" for how in ("by itself", "here") for t in titles],
        [one["differences"][part] for part in parts for one in found],
        _error,
    )


def losses(found: Found | None = None) -> None:
    """Print cross-entropies of a confident wrong answer, and their gradients."""
    _of_each("losses", lambda value: f"{value:.5g}", found)


def constants(found: Found | None = None) -> None:
    """Print which constants of float64 are those of float32."""
    _of_each("constants", _error, found)


def ways(found: Found | None = None) -> None:
    """Print what has several right values, or is computed in several ways."""
    _of_each("ways", lambda value: f"{value:.3g}", found)


def training(found: Found | None = None) -> None:
    """Print how far apart both engines are after some hundred steps."""
    found = saved() if found is None else found
    columns = ["", "steps", "Keras and NumPy apart", "NumPy and NumPy apart", "worst step"]
    rows = [
        [
            TITLES[one["backend"]],
            str(one["training"]["steps"]),
            f"{one['training']['engines']:.1e}",
            f"{one['training']['control']:.1e}",
            _share(one["training"]["checked"]),
        ]
        for one in found
    ]
    print(f"\n{markdown(Table('', columns, rows))}\n")


def _error(value: float) -> str:
    # A few units in the last place are what any two programs differ by.
    return "exact" if value < 1e-15 else f"{value:.0e}"


def _of_each(part: str, shown: Callable[[float], str], found: Found | None) -> None:
    found = saved() if found is None else found
    titles = [TITLES[one["backend"]] for one in found]
    _measurements(titles, [one["differences"][part] for one in found], shown)


def _measurements(
    columns: Sequence[str],
    measured: Sequence[Mapping[str, float | str]],
    shown: Callable[[float], str],
) -> None:
    def cell(value: float | str) -> str:
        return value if isinstance(value, str) else shown(value)

    rows = [[name, *(cell(one[name]) for one in measured)] for name in measured[0]]
    print(f"\n{markdown(Table('', ['', *columns], rows))}\n")
