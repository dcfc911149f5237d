"""How the user's objects are made: as the module makes them, or by what its names suggest."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from parity.drafting import roles
from parity.drafting.rehearsing import Rehearsal
from parity.drafting.survey import Class, Survey
from parity.loading import called, is_guard

INPUTS, HIDDEN, OUTPUTS = 64, 40, 10
# What to give a parameter of such a name; the first that fits counts.
_MORE = r"(_?(size|dim|nodes|dims|units|features|neurons|layer|channels)\w*)?\d?"
_COUNT = r"(nn_?)?(n|num(ber)?|no|d|dim|size|nb)?_?(of_?)?"
_GUESSES = (
    (r"(np_?)?(rng|random(_state)?|generator|rs)", "np.random.default_rng(0)"),
    (r"hidden_?(layer_?)?(sizes|dims|layers|units|nodes)", f"[{HIDDEN}]"),
    (
        r"(layer_?s?_?)?(sizes?|widths?|dims?|dimensions|layers|shapes?|structure|architecture|topology)|"
        r"layers?_(sizes?|dims?)|network(_?(shape|structure))?",
        f"[{INPUTS}, {HIDDEN}, {OUTPUTS}]",
    ),
    (rf"{_COUNT}(in|inputs?|i|x|features?|d){_MORE}", f"{INPUTS}"),
    (rf"{_COUNT}(h|hid|hidden|neurons|units|nodes){_MORE}", f"{HIDDEN}"),
    (rf"{_COUNT}(o|out|outputs?|y|k|c|classes|targets?|labels){_MORE}", f"{OUTPUTS}"),
    (r"\w*(lr|rate|eta|alpha)", "0.1"),
    (r"\w*batch_?size", "10"),
    (r"\w*(epochs?|iter\w*)", "1"),
    (r"\w*seed|key", "0"),
    (r"(momentum|momento|mu)\w*|beta_?1?", "0.9"),
    (r"keep\w*", "0.8"),
    (r"reg\w*|lam(bda|bd)?_?|lmbda|l2\w*|weight_?decay|wd", "0.1"),
    (r"dropout\w*|decay\w*", "0.0"),
    (r"\w*activations?", '"sigmoid"'),
    (r"\w*(std|scale)", "0.1"),
)
_ADDING = ("add", "append", "add_layer", "use", "push", "set_loss", "compile")


@dataclass
class Making:
    """The text that makes an object, and what a person should look at in it.

    Attributes:
        text: An expression.
        more: Statements after it, in which the object is called ``{0}``.
        check: What is guessed in it; "" where the module makes it so itself.
    """

    text: str
    more: list[str] = field(default_factory=list[str])
    check: str = ""


class Maker:
    """Writes expressions that make the objects of a module.

    Args:
        survey: What stands in the module.
        alias: What the adapter calls the module.
        seen: What was seen of the program's own run.
    """

    def __init__(self, survey: Survey, alias: str, seen: Rehearsal) -> None:
        self.survey = survey
        self.seen = seen
        self.alias = alias
        self.hidden = self._sized(f"{HIDDEN}")
        self.inputs, self.outputs = self._sized(f"{INPUTS}"), self._sized(f"{OUTPUTS}")
        self.sizes = f"[{self.inputs}, {self.hidden}, {self.outputs}]"
        self.one_output = f"[{self.inputs}, {self.hidden}, 1]"
        # For code that has its three layers written out.
        self.more_sizes = f"[{self.inputs}, {self.hidden}, {self.hidden}, {self.outputs}]"

    def in_module(self, name: str) -> Making | None:
        """Return a call of a class or function as it stands in the module; None if none does."""
        for body in _bodies(self.survey.tree):
            for k, statement in enumerate(body):
                if not isinstance(statement, (ast.Assign, ast.Return, ast.Expr, ast.AnnAssign)):
                    continue
                calls = [n for n in ast.walk(statement) if called_plainly(n) == name]
                text = self.qualified(calls[0]) if calls else None
                if text is not None:
                    return Making(text, self._additions(statement, body[k + 1 :]))
        return None

    def _additions(self, made: ast.stmt, following: Sequence[ast.stmt]) -> list[str]:
        """Return the ``net.add(Dense(64, 40))`` that follow ``net = Network()``."""
        target = made.targets[0] if isinstance(made, ast.Assign) else None
        if not isinstance(target, ast.Name):
            return []
        found: list[str] = []
        for statement in following:
            call = statement.value if isinstance(statement, ast.Expr) else None
            if not isinstance(call, ast.Call) or called(call) not in _ADDING:
                continue
            function = call.func
            of = function.value if isinstance(function, ast.Attribute) else None
            texts = [self.qualified(argument) for argument in call.args]
            if isinstance(of, ast.Name) and of.id == target.id and None not in texts:
                found.append(f"{{0}}.{called(call)}({', '.join(t for t in texts if t)})")
        return found

    def argument(self, name: str) -> str | None:
        """Return what a parameter of this name likely takes; None if nothing is known."""
        lower = name.lower().strip("_")
        if roles.is_layer_list(lower) and (layers := self.layer_list()):
            return layers
        if name in ("x", "X", "inputs", "data"):  # made from its data, whose width it takes
            return f"np.zeros((1, {INPUTS}))"
        if name in ("y", "Y", "targets", "labels"):
            return f"np.zeros((1, {OUTPUTS}))"
        text = next((text for pattern, text in _GUESSES if re.fullmatch(pattern, lower)), None)
        return text and self._sized(text)

    def _sized(self, text: str) -> str:
        """Return a guess with smaller layers, where a network goes through them in Python."""
        if self.survey.imports_numpy:
            return text
        small = {f"{INPUTS}": "6", f"{HIDDEN}": "5", f"{OUTPUTS}": "3"}
        return re.sub(r"\b\d+\b", lambda m: small.get(m[0], m[0]), text)

    def layer_list(self) -> str | None:
        """Return a list of the module's layers: as one stands in it, or 64-40-10 of its classes."""
        if (text := self.lists_layers()) is not None:
            return text
        classes = [c for name, c in self.survey.classes.items() if self.is_layer(name)]
        weighted = [c for c in classes if kernel_names(c) or parameter_dicts(c)]
        if not weighted:
            return None
        name = weighted[0].name
        between = self._activations([c.name for c in classes if c not in weighted])
        # Where there is a softmax, it is that of the output.
        last = [text for text in between if "softmax" in text.lower()] or between
        layers = [f"{name}({INPUTS}, {HIDDEN})", *between[:1]]
        layers += [f"{name}({HIDDEN}, {OUTPUTS})", *last[:1]]
        return f"[{', '.join(f'{self.alias}.{layer}' for layer in layers)}]"

    def lists_layers(self) -> str | None:
        """Return a list of layers that stands in the module."""
        for node in ast.walk(self.survey.tree):
            if not isinstance(node, ast.List) or len(node.elts) < 2:
                continue
            if all(self.is_layer(called(element)) for element in node.elts):
                text = self.qualified(node)
                if text is not None:
                    return text
        return None

    def _activations(self, names: list[str]) -> list[str]:
        """Return how to make the layers without weights that need no argument."""
        found: list[str] = []
        for name in names:
            init = self.survey.classes[name].methods.get("__init__")
            needs = any(p.required for p in (init.parameters if init else ()))
            if not needs and not re.search(r"drop|loss|^layer$", name.lower()):
                found.append(f"{name}()")
        return found

    def is_layer(self, name: str) -> bool:
        """Whether a class is one of layers: its backward pass is given a gradient, and no y."""
        found = self.survey.classes.get(name)
        if found is None:
            return False
        back = [found.methods[m] for m in roles.named(found.methods, roles.BACKWARD)]
        forward = roles.named(found.methods, roles.FORWARD)
        return bool(forward) and any(len(b.parameters) and not roles.takes(b, "y") for b in back)

    def qualified(self, expression: ast.AST) -> str | None:
        """Return an expression as the adapter can write it; None if it needs more than is there.

        Names of the module get the alias before them, names of literals become the literals.
        """
        allowed = (
            ast.Constant, ast.Name, ast.Attribute, ast.Call, ast.List, ast.Tuple, ast.Dict,
            ast.BinOp, ast.UnaryOp, ast.keyword, ast.operator, ast.unaryop, ast.expr_context,
        )  # fmt: skip
        if not all(isinstance(node, allowed) for node in ast.walk(expression)):
            return None
        expression = _Resolver(self.survey).visit(_copy(expression))
        names = {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}
        if not all(n in self.survey.constants or n in self.survey.names for n in names):
            return None
        return ast.unparse(_Qualifier(self).visit(_copy(expression)))


class _Qualifier(ast.NodeTransformer):
    def __init__(self, maker: Maker) -> None:
        self.maker = maker

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.maker.survey.constants:
            return self.maker.survey.constants[node.id]
        return ast.Attribute(ast.Name(self.maker.alias, ast.Load()), node.id, ast.Load())


class _Resolver(ast.NodeTransformer):
    """Puts the call that made an object in the place of the variable that holds it."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey

    def visit_Name(self, node: ast.Name) -> ast.expr:
        made = self.survey.objects.get(node.id)
        return node if made is None else self.visit(_copy(made))


def _copy(node: ast.AST) -> ast.expr:
    return ast.parse(ast.unparse(node), mode="eval").body


def called_plainly(node: ast.AST) -> str:
    """Return the name in ``Name(...)``; "" for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id
    return ""


def kernel_names(found: Class) -> list[str]:
    """Return the attributes of a layer that its forward pass reads and that are arrays."""
    forward = roles.named(found.methods, roles.FORWARD)
    reads = {r for name in forward[:1] for f in found.reach(name) for r in f.reads}
    arrays = [name for name, made in found.attributes.items() if made.kind == "array"]
    return [name for name in arrays if name in reads] or [n for n in arrays if roles.is_weight(n)]


def parameter_dicts(found: Class) -> tuple[str, str] | None:
    """Return the dicts in which a layer keeps its weights and their gradients, if it does."""
    filled = {n: m for n, m in found.attributes.items() if m.kind == "dict" and m.names}
    weights = next((n for n in filled if roles.role(n) == "parameters"), None)
    gradients = next((n for n in found.attributes if roles.role(n) in ("grads", "upstream")), None)
    return (weights, gradients) if weights and gradients else None


def _bodies(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """Yield the lists of statements in which objects are made: guard first, then functions."""
    yield from (s.body for s in tree.body if is_guard(s) and isinstance(s, ast.If))
    yield tree.body
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.For, ast.With, ast.Try)):
            yield node.body
