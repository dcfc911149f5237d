"""A network as one file of NumPy: a function for each layer, made of the project's own formulas."""

import ast
import builtins
import inspect
import json
import keyword
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from numpy_impl.functional import AnyNetwork
from numpy_impl.layers import Dense, FormulaLayer, Layer, TimeDistributed
from numpy_impl.layers.formula import activate
from numpy_impl.layers.recurrent import Recurrent
from numpy_impl.network import Sequential
from numpy_impl.types import Array, Shape
from parity.bounds.layers import weighted
from terminal_io import printable

from .printing import WIDTH, text_of, wrapped
from .recording import Recorder
from .symbolic import IMPORTED, NotSpecializable, Symbolic, lift
from .tidying import tidy

# What a file imports: always, and where a formula needs it.
_ALWAYS = ["import numpy as np", "from pathlib import Path"]
_IMPORTS = {name: f"from {module} import {name}" for name, module in IMPORTED.items()}
_IMPORTS |= {"math": "import math"}
# Names that mean something else in the file, or in the formulas.
_TAKEN = {
    *dir(builtins), *_IMPORTS, "np", "Path", "WEIGHTS", "DTYPE", "forward", "predict", "arrays",
    "w", "y", "i", "starts", "batches", "batch_size",
}  # fmt: skip
# A reference to another class in the documentation.
_ROLE = re.compile(r":\w+:`~?([^`]+)`")
# Where the documentation of a layer goes on to other things than its way forward.
_FURTHER = re.compile(r"Backward|Args:|Reference|The arguments|The window's|All other options")
# The same within a paragraph.
_ASIDES = [
    re.compile(r"\s+Backward\b.*", re.DOTALL),
    re.compile(r"[;:] (?:each ``dC|the gradient |backward, |``dC/d).*", re.DOTALL),
    re.compile(r", and get both gradients(?=\.)"),
]


@dataclass
class Exported:
    """A network as a program.

    Attributes:
        source: The program.
        weights: Its arrays by name.
        outputs: For each of the network's calls, what ``forward`` calls its output.
    """

    source: str
    weights: dict[str, Array]
    outputs: list[str]


@dataclass
class _Definition:
    name: str
    text: str
    imports: set[str]


@dataclass
class _Writer:
    """Collects the definitions of a file: functions of numbers, and the layers that call them."""

    taken: set[str]
    functions: list[_Definition] = field(default_factory=list)
    layers: list[_Definition] = field(default_factory=list)

    def define(self, function: FunctionType, name: str, arguments: Mapping[str, Any]) -> str:
        """Define a function of the project under its name, for what is known of its arguments."""
        own = Recorder(self.define)
        given = {
            n: Symbolic(own, ast.Name(n)) if isinstance(value, Symbolic) else value
            for n, value in arguments.items()
        }
        names = [n for n, value in given.items() if isinstance(value, Symbolic)]
        result = own.run(function, **given)
        says = _paragraphs(inspect.getdoc(function) or f"Return {name} of ``z``.")[:1]
        return self.add(self.functions, own, name, names, result, says)

    def add(
        self,
        where: list[_Definition],
        own: Recorder,
        name: str,
        arguments: list[str],
        result: Any,
        says: list[str],
    ) -> str:
        """Define what a recorder wrote down; return its name, which is as given or like it."""
        outside = _names(*own.statements, lift(result)) - set(own.bases) - set(arguments)
        body = tidy(
            own.statements, lift(result), arguments, own.bases, own.names, own.temporary, outside
        )
        rest = "\n".join([_docstring(says), *(text_of(statement, 4) for statement in body)])
        for other in where:
            if other.name.startswith(name) and other.text.endswith(f":\n{rest}"):
                return other.name
        name = _free(name, self.taken)
        text = "\n".join([*wrapped(f"def {name}({', '.join(arguments)}):"), rest])
        used = outside & _IMPORTS.keys() & _names(*body)
        where.append(_Definition(name, text, {_IMPORTS[n] for n in used}))
        return name


def _names(*nodes: ast.AST) -> set[str]:
    return {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}


def export(network: AnyNetwork, stem: str) -> Exported:
    """Return a network as a program of its own.

    Args:
        network: Any network of ``numpy_impl``.
        stem: What its files will be called, without ``.py`` and ``.npz``.

    Raises:
        NotSpecializable: A formula has something in it that is not understood.
    """
    single = len(network.input_names) == 1
    taken = set(_TAKEN)
    tensors = {n: "x" if single else _free(_snake_case(n), taken) for n in network.input_names}
    writer = _Writer({*taken, *tensors.values()})
    names, keys = _layer_names(network), dict(tensors)
    weights: dict[str, Array] = {}
    lines, masks = _checked_inputs(network, tensors), dict[str, str | None]()
    _refuse_states(network)
    for (call, layer, sources), owner in zip(network.calls, network.owners, strict=True):
        name, arrays = names[owner], [*layer.weight_names, *layer.state_names]
        keys[call] = name if isinstance(network, Sequential) else call
        tensors[call] = f"y[{_quoted(keys[call])}]"
        weights |= {f"{name}/{array}": getattr(layer, array) for array in arrays}
        # As numpy_impl.step_masks has it; live masks and noted ones differ behind attention alone.
        mask = masks.get(sources[0])
        if layer.merges and any(masks.get(source) for source in sources):
            raise NotSpecializable(
                "Expected masks of steps that go to layers of one input. "
                f"Received: {call} ({type(layer).__name__}) with one"
            )
        own_mask = mask if layer.uses_mask else None
        shapes = [network.shapes[source] for source in sources]
        function = _layer(writer, layer, name, shapes, network.shapes[call], bool(own_mask))
        given = [
            *(tensors[s] for s in sources),
            *(f"w[{_quoted(f'{name}/{array}')}]" for array in arrays),
        ]
        given += [own_mask] if own_mask else []
        lines.append(f"{tensors[call]} = {function}({', '.join(given)})")
        masks[call] = _mask(writer, layer, name, shapes[0], mask, given[0], lines)
    source = _file(network, stem, writer, lines, tensors)
    try:
        source.encode()
    except UnicodeEncodeError as error:  # half a character in a name
        raise NotSpecializable(f"Expected names of characters. Received: {error}") from error
    return Exported(source, weights, [keys[call.name] for call in network.calls])


# Layers


def _refuse_states(network: AnyNetwork) -> None:
    """Raise NotSpecializable for layers that hand their states on, or are handed one."""
    for call in network.calls:
        if len(call.outputs) > 1 or (len(call.sources) > 1 and isinstance(call.layer, Recurrent)):
            raise NotSpecializable(
                "Expected layers without return_state and initial_state. "
                f"Received: {call.name} with one of them"
            )
        if call.layer.carried_names:
            raise NotSpecializable(
                f"Expected layers without stateful. Received: {call.name} with stateful=True"
            )


def _layer(
    writer: _Writer, layer: Layer, name: str, inputs: list[Shape], output: Shape, masked: bool
) -> str:
    """Define a layer's function; return its name."""
    own = Recorder(writer.define)
    names = [f"x_{i}" for i in range(1, len(inputs) + 1)] if layer.merges else ["x"]
    given = dict(zip(names, inputs, strict=True))
    entries = [Symbolic(own, ast.Name(n), (None, *shape)) for n, shape in given.items()]
    arrays = {n: getattr(layer, n).shape for n in (*layer.weight_names, *layer.state_names)}
    w = {n: Symbolic(own, ast.Name(n), shape) for n, shape in arrays.items()}
    mask = Symbolic(own, ast.Name("mask")) if masked else None
    result = _output(own, layer, entries if layer.merges else entries[0], w, mask)
    arguments = [*names, *arrays, *(["mask"] if masked else [])]
    shapes = [f"{n} {_shape(shape)}" for n, shape in given.items()]
    shapes += [f"{n} {shape}" for n, shape in arrays.items()]
    shapes += [f"mask (N, {inputs[0][0]})"] if masked else []
    title = f"{type(layer).__name__}: {_shape(output)} from {', '.join(shapes)}."
    function = _snake_case(name)
    return writer.add(writer.layers, own, function, arguments, result, [title, *_formula(layer)])


def _output(own: Recorder, layer: Layer, x: Any, w: Mapping[str, Symbolic], mask: Any) -> Any:
    """Return what a layer gives for ``x``, not in training."""
    if isinstance(layer, FormulaLayer):
        further = {"mask": mask} if layer.uses_mask else {}
        output, _ = own.run(layer.compute, x, w, False, **further)
        return output
    if isinstance(layer, Dense):
        # Dense.forward is for speed; this is the formula that its errors are bounded by.
        z = own.run(weighted, x, w["kernel"], w.get("bias"))
        return own.run(activate, z, layer.activation)
    if isinstance(layer, TimeDistributed):
        own.inner = lambda inner, rows: _output(own, inner, rows, w, None)
    return own.run(layer.forward, x)


def _mask(
    writer: _Writer,
    layer: Layer,
    name: str,
    shape: Shape,
    mask: str | None,
    given: str,
    lines: list[str],
) -> str | None:
    """Return the variable that says which steps of an output count; None: all of them."""
    if layer.merges:
        return None
    own = Recorder(writer.define)
    before = None if mask is None else Symbolic(own, ast.Name("mask"))
    result = own.run(layer.compute_mask, Symbolic(own, ast.Name("x"), (None, *shape)), before)
    if result is None:
        return None
    if result is before:
        return mask
    says = ["Return which steps of the layer's output count, shape (N, steps)."]
    plain = _snake_case(name)
    function = writer.add(writer.layers, own, f"{plain}_mask", ["x"], result, says)
    variable = _free(f"mask_of_{plain}", writer.taken)
    lines.append(f"{variable} = {function}({given})")
    return variable


# Names and words


def _layer_names(network: AnyNetwork) -> dict[str, str]:
    """Return what each layer is called in the file: its name, or in a chain that of its kind."""
    if not isinstance(network, Sequential):
        return {name: name for name in network.layer_names}
    taken: set[str] = set()
    kinds = [type(layer).__name__ for layer in network.layers]
    return {
        own: _free(_snake_case(kind), taken)
        for own, kind in zip(network.layer_names, kinds, strict=True)
    }


def _snake_case(name: str) -> str:
    """Return a name that a function may have, made as Keras makes that of a layer of its class."""
    name = re.sub(r"\W+", "_", name, flags=re.ASCII)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower().strip("_")
    return f"layer_{name}" if not name.isidentifier() or keyword.iskeyword(name) else name


def _quoted(name: str) -> str:
    """Return a name, which may come from anybody's file, as a string of the program."""
    return json.dumps(name, ensure_ascii=False)


def _free(name: str, taken: set[str]) -> str:
    """Return the name, or one like it, that is not taken, and take it."""
    free, number = name, 1
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    taken.add(free)
    return free


def _shape(shape: Shape) -> str:
    return str(("N", *shape)).replace("'", "")


def _paragraphs(text: str) -> list[str]:
    return [_ROLE.sub(r"\1", part.strip()) for part in text.split("\n\n")]


def _formula(layer: Layer) -> list[str]:
    """Return what a layer's documentation says of its way forward."""
    methods = {"compute", "step", "forward"}
    kind = next(k for k in type(layer).__mro__ if methods & set(vars(k)))
    documented = inspect.getdoc(kind) or ""
    if documented.startswith("What all"):
        documented = inspect.getdoc(type(layer)) or ""
    said: list[str] = []
    for paragraph in _paragraphs(documented):
        if _FURTHER.match(paragraph):
            break
        for aside in _ASIDES:
            paragraph = aside.sub("", paragraph)
        said.append(paragraph if paragraph.endswith((".", ":")) else f"{paragraph}.")
    return said


def _docstring(paragraphs: Sequence[str], indent: int = 4) -> str:
    margin = " " * indent
    # What comes from a file must not end the text.
    first, *others = [p.replace("\\", "\\\\").replace('"""', "'''") for p in paragraphs]
    lines = textwrap.wrap(f'"""{first}', WIDTH - indent, break_long_words=False)
    if not others and len(lines) == 1 and len(lines[0]) + indent + 3 <= WIDTH:
        return f'{margin}{lines[0]}"""'
    for part in others:
        lines += ["", *part.split("\n")]
    return "\n".join(f"{margin}{line}".rstrip() for line in [*lines, '"""'])


# The file


def _checked_inputs(network: AnyNetwork, names: Mapping[str, str]) -> list[str]:
    lines: list[str] = []
    for own in network.input_names:
        name, shape = names[own], network.shapes[own]
        expected = f"Expected {name} of shape {_shape(shape)}. Received: shape {{{name}.shape}}"
        lines += [
            f"{name} = np.asarray({name}, DTYPE)",
            f"if {name}.shape[1:] != {shape}:",
            f'    raise ValueError(f"{expected}")',
        ]
    return [*lines, "w, y = WEIGHTS, {}"]


def _file(
    network: AnyNetwork, stem: str, writer: _Writer, lines: list[str], tensors: Mapping[str, str]
) -> str:
    definitions = [*writer.functions, *writer.layers]
    used = {line for definition in definitions for line in definition.imports}
    imports = sorted({*_ALWAYS, *used}, key=lambda line: (line.startswith("from"), line))
    given = [f"{tensors[n]} {_shape(network.shapes[n])}" for n in network.input_names]
    shapes = " and ".join(_shape(network.shapes[n]) for n in network.output_names)
    arguments = ", ".join(tensors[n] for n in network.input_names)
    results = [f"np.concatenate([{tensors[n]} for y in batches])" for n in network.output_names]
    part = ", ".join(f"{tensors[n]}[i : i + batch_size]" for n in network.input_names)
    first = tensors[network.input_names[0]]
    title = f"The network {printable(network.name)} in plain NumPy, {network.dtype.name}."
    says = (
        f"``predict`` takes {', '.join(given)} and returns {shapes}; ``forward`` returns the "
        f"output of every layer. N is the number of samples, which lie in rows. The weights are "
        f"in {stem}.npz, beside this file."
    )
    parts = [
        _docstring([title, textwrap.fill(says, WIDTH)], 0),
        "\n".join(line for line in imports if "numpy" not in line),
        "\n".join(line for line in imports if "numpy" in line),
        "\n".join(
            [
                f'DTYPE = "{network.dtype.name}"',
                'with np.load(Path(__file__).with_suffix(".npz"), allow_pickle=False) as arrays:',
                "    WEIGHTS = {name: arrays[name] for name in arrays.files}",
            ]
        ),
    ]
    forward = [
        f"def forward({arguments}):",
        _docstring(["Return the output of every layer, by its name.", f"{', '.join(given)}."]),
        *(piece for line in lines for piece in wrapped(f"    {line}")),
        "    return y",
    ]
    predict = [
        f"def predict({arguments}, batch_size=1000):",
        _docstring([f"Return {shapes} for {', '.join(given)}, computed in batches."]),
        f"    starts = range(0, max(len({first}), 1), batch_size)",
        *wrapped(f"    batches = [forward({part}) for i in starts]"),
        *wrapped(f"    return {', '.join(results)}"),
    ]
    blocks = [*(definition.text for definition in definitions), *map("\n".join, (forward, predict))]
    return "\n\n".join(parts) + "".join(f"\n\n\n{block}" for block in blocks) + "\n"
