"""A report as strictly valid JSON, by the schema that docs/report-schema.md describes."""

import json
import math
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.bugs.findings import Finding, TensorResult, Witness
from parity.reports import words
from parity.reports.report import CheckReport

# Raised when a key is renamed, removed or changes its meaning; a new key does not raise it.
SCHEMA = 1


def to_json(report: CheckReport) -> str:
    """Return the report as JSON text.

    Args:
        report: What :func:`parity.check` returned.

    Returns:
        What :func:`to_dict` returns, indented, in ASCII.
    """
    return json.dumps(to_dict(report), indent=2, allow_nan=False)


def to_dict(report: CheckReport) -> dict[str, Any]:
    """Return the report as dictionaries, lists, strings, numbers, booleans and None.

    Args:
        report: What :func:`parity.check` returned.

    Returns:
        A dictionary by docs/report-schema.md. JSON has no NaN and no infinity: they are the
        strings "nan", "inf" and "-inf". The arrays of errors are summed up.
    """
    return {
        "schema": SCHEMA,
        "name": str(report.name),
        "reference": str(report.reference),
        "outcome": report.outcome.value,
        "exit_code": report.outcome.exit_code,
        "passed": report.passed,
        "summary": str(report.summary),
        "tested": [str(what) for what in report.tested],
        "untested": [str(what) for what in report.untested],
        "conventions": {str(k): str(v) for k, v in report.conventions.items()},
        "findings": [_finding(finding) for finding in report.findings],
        "remarks": [str(remark) for remark in report.remarks],
        "tensors": [_tensor(tensor) for tensor in report.tensors],
        "witnesses": [_witness(witness) for witness in report.witnesses],
    }


def _finding(finding: Finding) -> dict[str, str]:
    fields = ("code", "title", "where", "fix", "evidence", "detail")
    return {name: str(getattr(finding, name)) for name in fields}


def _tensor(tensor: TensorResult) -> dict[str, Any]:
    numbers = ("value", "expected", "keras", "error", "bound", "ratio", "scale", "cosine")
    return {
        "kind": str(tensor.kind),
        "name": str(tensor.name),
        "own_name": str(tensor.own_name),
        "shape": [int(n) for n in tensor.shape],
        "index": [int(i) for i in tensor.index],
        **{name: _number(getattr(tensor, name)) for name in numbers},
        "right": bool(tensor.right),
        "errors": _errors(tensor),
    }


def _errors(tensor: TensorResult) -> dict[str, Any]:
    errors = np.asarray(tensor.errors, np.float64)
    finite = errors[np.isfinite(errors)]
    return {
        "count": int(errors.size),
        "not_finite": int(errors.size - finite.size),
        "beyond_bound": words.count_beyond(tensor),
        "max": _number(np.max(finite) if finite.size else None),
        "mean": _number(_mean(finite) if finite.size else None),
        "median": _number(np.median(finite) if finite.size else None),
    }


def _mean(values: Array) -> np.floating[Any]:
    with np.errstate(over="ignore"):  # the sum of very large errors is infinite, and says so
        return np.mean(values)


def _witness(witness: Witness) -> dict[str, Any]:
    agrees = None if witness.agrees is None else bool(witness.agrees)
    return {"name": str(witness.name), "agrees": agrees, "comment": str(witness.comment)}


def _number(value: Any) -> float | str | None:
    if value is None:
        return None
    value = float(value)
    return value if math.isfinite(value) else str(value)
