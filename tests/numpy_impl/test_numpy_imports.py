"""``import numpy_impl`` needs NumPy and the standard library and loads nothing else."""

import json
import subprocess
import sys
from pathlib import Path

HEAVY = {
    "numba",
    "keras",
    "tensorflow",
    "jax",
    "torch",
    "h5py",
    "sklearn",
    "scipy",
    "matplotlib",
    "PIL",
}
OURS = {"keras_impl", "parity", "digit_data", "scripts", "terminal_io"}
ROOT = Path(__file__).parents[2]


def _loaded(statement: str) -> set[str]:
    """Return the top-level modules in a fresh interpreter after ``statement``."""
    code = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stderr == ""
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_import_is_light() -> None:
    found = _loaded("import numpy_impl")
    assert {"numpy", "numpy_impl"} <= found
    assert not found & (HEAVY | OURS)


def test_a_heavy_import_would_be_seen() -> None:
    assert "scipy" in _loaded("import numpy_impl, scipy") & HEAVY
