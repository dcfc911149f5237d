"""Whether a written program computes what the network does: it is run, and compared.

It runs in a Python of its own that finds neither this project's folder nor the user's settings.
Random samples go through it and through the NumPy network, layer by layer, and where the model is
one of Keras's through that as well. All may differ by what rounding can explain, see
``parity.bounds``, and by no more. The program is run once more in double precision, where these
bounds are so small that hardly anything wrong can hide below them.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from numpy_impl.functional import AnyNetwork, as_list, one_or_list
from numpy_impl.layers import Embedding, Layer, Masking, Rescaling
from numpy_impl.types import Array, Precision
from parity.bounds import analyse_outputs
from parity.bounds.rounding import Approx
from parity.comparing.rows import Verdict, compare_tensors
from terminal_io import FAILURE, CliError

DOUBLE: Precision = "float64"
# Run with the program, a file of inputs and one for outputs.
_DRIVER = """
import importlib.util, sys
import numpy as np
spec = importlib.util.spec_from_file_location("exported", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
with np.load(sys.argv[2], allow_pickle=False) as file:
    inputs = [file[str(i)] for i in range(len(file.files))]
results = {}
for dtype in dict.fromkeys([module.DTYPE, "float64"]):
    module.DTYPE = dtype
    module.WEIGHTS = {name: array.astype(dtype) for name, array in module.WEIGHTS.items()}
    for i, array in enumerate(module.forward(*inputs).values()):
        results[f"{dtype}/layer/{i}"] = array
    predicted = module.predict(*inputs)
    for i, array in enumerate(predicted if isinstance(predicted, tuple) else [predicted]):
        results[f"{dtype}/output/{i}"] = array
np.savez(sys.argv[3], **results)
"""

# What Keras gives for a batch, a list of arrays, one for each output.
KerasOutputs = Callable[[list[Array]], list[Array]]


@dataclass(frozen=True)
class Check:
    """One comparison, all of whose numbers are within their bounds.

    Attributes:
        reference: What the program was compared with.
        dtype: In which precision.
        tensor: The output with the largest difference; of equal ones the last.
        index: Where in it.
        difference: How large it is.
        bound: What rounding can explain there.
    """

    reference: str
    dtype: str
    tensor: str
    index: tuple[int, ...]
    difference: float
    bound: float


def prove(
    program: Path,
    network: AnyNetwork,
    names: Sequence[str],
    inputs: list[Array],
    keras: KerasOutputs | None = None,
) -> list[Check]:
    """Run a written program, and compare it with the network that it is made of.

    Args:
        program: The program, with its weights beside it.
        network: The network.
        names: What the program calls the output of each of the network's calls.
        inputs: A batch for each input.
        keras: The same model in Keras; None if there is none.

    Returns:
        The comparisons with the NumPy network in its own precision and in double precision, and
        with Keras.

    Raises:
        CliError: The program does not run, or a difference is larger than rounding explains.
    """
    results = _run(program, inputs)
    checks: list[Check] = []
    precisions: list[Precision] = [network.precision, DOUBLE]
    for dtype in dict.fromkeys(precisions):
        own = network if dtype == network.precision else network.clone(dtype)
        batch = [array.astype(dtype) for array in inputs]
        with np.errstate(all="ignore"):  # what overflows is seen in the outputs
            expected, bounds = own.layer_outputs(one_or_list(batch)), analyse_outputs(own, batch)
        calls = [call.name for call in own.calls]
        ends = [calls.index(name) for name in own.output_names]
        layers = [results.get(f"{dtype}/layer/{i}") for i in range(len(calls))]
        outputs = [results.get(f"{dtype}/output/{i}") for i in range(len(ends))]
        found = [*layers, *outputs]
        places = [*range(len(calls)), *ends]
        compared = [(names[i], expected[i], array, bounds[i])
                    for i, array in zip(places, found, strict=True)]  # fmt: skip
        decides = dtype == DOUBLE
        checks.append(_compared(program, "the NumPy network", dtype, compared, decides))
        if keras is not None and dtype == network.precision:
            theirs = keras(batch)
            compared = [(names[i], k, array, bounds[i])
                        for i, k, array in zip(ends, theirs, outputs, strict=True)]  # fmt: skip
            checks.append(_compared(program, "Keras", dtype, compared, decides=False))
    return checks


def prove_outputs(
    file: Path,
    network: AnyNetwork,
    names: Sequence[str],
    inputs: list[Array],
    found: Sequence[Array],
    keras: KerasOutputs,
) -> list[Check]:
    """Compare what another runtime made of a written file with the network and with Keras.

    Args:
        file: The file, for errors.
        network: The network.
        names: What each of its outputs is called.
        inputs: A batch for each input.
        found: What the file gave for it.
        keras: The same model in Keras.

    Raises:
        CliError: A difference is larger than rounding explains, or rounding explains everything.
    """
    outputs, bounded = _bounded(network, inputs)
    if len(found) != len(bounded):
        raise _refusal(file, f"{len(found)} outputs instead of {len(bounded)}")
    checks: list[Check] = []
    for reference, expected in (("the NumPy network", outputs), ("Keras", keras(inputs))):
        compared = list(zip(names, expected, found, bounded, strict=True))
        checks.append(_compared(file, reference, network.precision, compared, decides=True))
    return checks


def prove_read(
    file: Path, network: AnyNetwork, inputs: list[Array], reference: str, expected: list[Array]
) -> Check:
    """Compare a network that was read from another library's file with that library.

    Args:
        file: The file, for errors.
        network: The network.
        inputs: A batch for each input.
        reference: Who computed what is expected.
        expected: Its outputs.

    Raises:
        CliError: As for :func:`prove_outputs`.
    """
    outputs, bounded = _bounded(network, inputs)
    compared = list(zip(network.output_names, expected, outputs, bounded, strict=True))
    return _compared(file, reference, network.precision, compared, decides=True)


def _bounded(network: AnyNetwork, inputs: list[Array]) -> tuple[list[Array], list[Approx]]:
    """Return a network's outputs, and the bounds of each."""
    with np.errstate(all="ignore"):  # what overflows is seen in the outputs
        bounds = dict(zip(network.tensor_names, analyse_outputs(network, inputs), strict=True))
        outputs = as_list(network.forward(one_or_list(inputs)))
    return outputs, [bounds[end] for end in network.output_names]


def _run(program: Path, inputs: list[Array]) -> dict[str, Array]:
    """Return what a program gives for a batch, by precision and place."""
    with tempfile.TemporaryDirectory() as folder:
        given, results = Path(folder, "inputs.npz"), Path(folder, "outputs.npz")
        arrays: dict[str, Any] = {str(i): array for i, array in enumerate(inputs)}
        np.savez(given, **arrays)
        paths = [str(path.resolve()) for path in (program, given, results)]
        ended = subprocess.run(
            [sys.executable, "-I", "-c", _DRIVER, *paths],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if ended.returncode:
            lines = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
            raise CliError(
                f"{program.name}: expected a program that runs. Received: {lines[-1]}", FAILURE
            )
        with np.load(results, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}


def _compared(
    program: Path,
    reference: str,
    dtype: str,
    tensors: Sequence[tuple[str, Array, Array | None, Approx]],
    decides: bool,
) -> Check:
    """Compare tensors; refuse a difference beyond rounding.

    Where the comparison ``decides``, bounds as large as the outputs are refused too: they would
    prove nothing.
    """
    checks: list[Check] = []
    for name, expected, found, bounded in tensors:
        if found is None:
            raise _refusal(program, f"no output of {name}")
        row = compare_tensors("forward", name, expected, found, bounded)
        if row.index == () and row.verdict is Verdict.DIFFERENT:
            raise _refusal(program, f"{name} of shape {found.shape} instead of {expected.shape}")
        at, bounds = f"{name}{list(row.index)}", 2 * bounded.bound.reshape(row.shape)
        if not np.isfinite(row.keras):
            raise _refusal(program, f"{at} is {row.keras} in {reference} for these samples")
        if row.verdict is Verdict.DIFFERENT:
            raise _refusal(
                program,
                f"{at} is {row.numpy:.6g} and in {reference} {row.keras:.6g} ({dtype}), which "
                f"differ by {row.error:.2g} where rounding explains {bounds[row.index]:.2g}",
            )
        if decides and row.verdict is Verdict.UNDECIDED:
            raise _refusal(program, "a network whose rounding errors are as large as its outputs")
        difference = np.abs(np.asarray(expected, np.float64) - found)
        place = np.argmax(difference if row.error else bounds)
        index = tuple(int(i) for i in np.unravel_index(place, row.shape))
        most = float(difference[index])
        checks.append(Check(reference, dtype, name, index, most, float(bounds[index])))
    return max(reversed(checks), key=lambda check: check.difference)


def _refusal(program: Path, received: str) -> CliError:
    return CliError(
        f"{program.name}: expected what the network computes, up to rounding. Received: {received}",
        FAILURE,
    )


# Samples


def random_inputs(network: AnyNetwork, samples: int, rng: np.random.Generator) -> list[Array]:
    """Return a random batch for each input, of numbers that the first layer is made for.

    They are from N(0, 1), before a Rescaling such that its outputs are; before an Embedding the
    numbers that it knows. Half of the samples that go into a Masking have steps to leave out.
    """
    takers: dict[str, list[Layer]] = {name: [] for name in network.input_names}
    came: dict[str, str] = {name: name for name in network.input_names}
    for name, layer, sources in network.calls:
        start = came.get(sources[0])
        if start is None:
            continue
        if isinstance(layer, Embedding | Rescaling | Masking):
            takers[start].append(layer)
        elif not layer.weight_names and not layer.merges:  # Reshape, say
            came[name] = start
    return [
        _drawn((samples, *network.shapes[name]), takers[name], rng).astype(network.dtype)
        for name in network.input_names
    ]


def _drawn(shape: tuple[int, ...], takers: list[Layer], rng: np.random.Generator) -> Array:
    counts = [layer.input_dim for layer in takers if isinstance(layer, Embedding)]
    if counts:
        return rng.integers(0, min(counts), shape)
    x = rng.standard_normal(shape)
    for layer in takers:
        if isinstance(layer, Rescaling) and layer.scale:
            x = (x - layer.offset) / layer.scale
        if isinstance(layer, Masking) and len(shape) == 3:
            x[: len(x) // 2, shape[1] // 2 + 1 :] = layer.mask_value
    return x


def keras_outputs(model: Any) -> KerasOutputs:
    """Return what asks a Keras model in its own precision."""
    import keras_impl  # late: it takes four seconds

    def ask(batch: list[Array]) -> list[Array]:
        with keras_impl.precision(model.compute_dtype):
            outputs = as_list(model.predict_on_batch(one_or_list(batch)))
        return [np.asarray(array) for array in outputs]

    return ask
