"""Writing calls of the user's functions: which of our values fits which of their parameters."""

import re
from dataclasses import dataclass, field

from parity.drafting import roles
from parity.drafting.functions import Function, Returned, reach
from parity.drafting.making import Maker
from parity.drafting.subjects import DraftSubject, forward_of, forward_result

# What stands for a parameter of each role, until a call has given something better.
_VALUES = {
    "x": "x", "y": "y", "rate": "learning_rate", "once": "1", "size": "len(x)", "off": "False",
    "pairs": "[(x, y)]",
}  # fmt: skip
# These are given to parameters that have defaults too.
_GIVEN = ("x", "y", "rate", "once", "parameters", "cache", "grads", "output")
_TAKEN = {"x", "y", "learning_rate", "net", "layers", "parity", "np", "key", "parameters"}


@dataclass
class DraftPart:
    """One function of the adapter, written.

    Attributes:
        lines: Its statements.
        uses: The function of the user's that it is about.
        checks: What a person should look at in it.
    """

    lines: list[str]
    uses: str
    checks: list[str] = field(default_factory=list[str])


def input_gradient(method: Function) -> str:
    """Return where a backward pass that returns nothing leaves the gradient of its input."""
    names = sorted(method.writes)
    found = [roles.gradient_of(name, names) for name in ("inputs", "input", "x")]
    return next(filter(None, found), "")


class Body:
    """The statements of one function of the adapter, as they are being written.

    Attributes:
        lines: The statements so far.
        names: What the user's code calls a thing -> what it is here.
        values: Role -> what it is here.
        checks: What a person should look at.
        output: The expression of the forward pass's output, once it was called.
    """

    def __init__(self, subject: DraftSubject, maker: Maker) -> None:
        self.subject = subject
        self.maker = maker
        self.lines: list[str] = []
        self.checks: list[str] = []
        self.output = ""
        weights = subject.weights
        self.names = dict(weights.items)
        self.values = dict(_VALUES)
        if len(weights.items) == 1:
            self.values["parameters"] = next(iter(weights.items.values()))

    @property
    def _leaves_something(self) -> bool:
        """Whether the forward pass keeps in the object what the backward pass needs."""
        function = forward_of(self.subject.functions)
        reached = reach(function.name, self.subject.functions) if function else []
        return bool(self.subject.layers) or (
            self.subject.prefix == "net." and any(f.writes for f in reached)
        )

    @property
    def alias(self) -> str:
        """What the adapter calls the user's module."""
        return self.maker.alias

    def call(
        self,
        function: Function,
        first: str = "",
        prefix: str | None = None,
        without: tuple[str, ...] = (),
    ) -> str:
        """Return a call of a function.

        Args:
            first: What its first parameter that nothing else fits is given.
            prefix: What stands before its name; None: as for the subject's own functions.
            without: Values that optional parameters are not given.
        """
        fits = {p.name: self._fitting(p.name, p.required) for p in function.parameters}
        for parameter in function.parameters:
            if not parameter.required and fits[parameter.name] in without:
                fits[parameter.name] = ""
        if first and first not in fits.values():
            unknown = [p.name for p in function.parameters if p.required and not fits[p.name]]
            fits |= {unknown[0]: first} if unknown else {}
        before = self.subject.prefix if prefix is None else prefix
        called = "net" if function.name == "__call__" else f"{before}{function.name}"
        return f"{called}({', '.join(self._arguments(function, fits))})"

    def _arguments(self, function: Function, fits: dict[str, str]) -> list[str]:
        """Return the arguments of a call, by name from the first that is left out."""
        arguments: list[str] = []
        skipped = False
        for parameter in function.parameters:
            text = fits[parameter.name]
            if text or parameter.required:
                if not text:
                    self.checks.append(f"what {function.name} takes as {parameter.name}")
                arguments.append(f"{parameter.name}={text or None}" if skipped else text or "None")
            else:
                skipped = True
        return arguments

    def _fitting(self, name: str, required: bool) -> str:
        if name in self.names:
            return self.names[name]
        role = roles.role(name)
        if role == "upstream" and required:
            return self.slope()
        return self.values.get(role, "") if required or role in _GIVEN else ""

    def slope(self) -> str:
        """Return the derivative of the loss by the output, from a function of the module."""
        for name, function in self.maker.survey.functions.items():
            if roles.is_loss_slope(name):
                for parameter in function.parameters:  # whose gradient it is: the output's
                    if roles.role(parameter.name) == "upstream":
                        self.names.setdefault(parameter.name, self.output or "output")
                return self.call(function, prefix=f"{self.alias}.")
        for name, found in self.maker.survey.classes.items():
            for method in roles.named(found.methods, roles.BACKWARD)[:1]:
                if text := self._slope_of_object(name, found.methods[method]):
                    return text
        self.checks.append("the loss: this is the derivative of half the squared error, summed")
        return f"{self.output or 'output'} - y"

    def _slope_of_object(self, name: str, method: Function) -> str:
        """Return what ``MSE().grad(output, y)`` gives, if the method is one of that kind."""
        given = {"y": "y", "output": self.output, "upstream": self.output}
        texts = [given.get(roles.role(p.name), "") for p in method.parameters if p.required]
        kept = "" if method.returned.kind != "none" else input_gradient(method)
        if "y" not in texts or "" in texts or not (kept or method.returned.kind != "none"):
            return ""
        self.checks.append(f"that {name} is the loss")
        call = f"criterion.{method.name}({', '.join(texts)})"
        self.lines.append(f"criterion = {self.alias}.{name}()")
        self.lines += [call] * bool(kept)
        return f"criterion.{kept}" if kept else call

    def attributes(self, function: Function) -> None:
        """Put x, y and the learning rate where a function that does not take them finds them."""
        for role, target in self.subject.attributes.items():
            reads = {r for f in reach(function.name, self.subject.functions) for r in f.reads}
            used = target.removeprefix("net.") in reads
            if used and not roles.takes(function, role) and not roles.takes(function, "pairs"):
                self._set(target, _VALUES[role])

    def _set(self, target: str, value: str) -> None:
        line = f"{target} = {value}"
        if line not in self.lines:
            self.lines.append(line)

    def forward(self) -> None:
        """Call the forward pass, and remember what its results are called."""
        function = forward_of(self.subject.functions)
        if function is None or self.output:
            return
        if "x" in self.subject.attributes and not function.parameters:
            self._set(self.subject.attributes["x"], "x")
        text = self.call(function, first="x", without=("y",))
        returned = forward_result(function)
        if returned.kind == "none":
            self.lines.append(text)
            written = [w for f in reach(function.name, self.subject.functions) for w in f.writes]
            self.output = f"net.{roles.best_output(sorted(written))}"
        elif returned.kind == "many":
            variables = dict(zip(returned.names, self.unpack(text, returned.names), strict=True))
            self.output = variables[roles.best_output(returned.names)]
        else:
            self.lines.append(f"output = {text}")
            self.output = "output"
            self._single(returned)
        self.values["output"] = self.output

    def _single(self, returned: Returned) -> None:
        """Remember the name, or the entry, under which the one result is known."""
        if returned.kind == "dict":
            self.values["cache"] = "output"
            self.output = f'output["{roles.best_output(returned.names)}"]'
        elif returned.names and returned.names[0]:
            self.names.setdefault(returned.names[0], "output")
        if returned.kind == "list":  # of all activations, the output last
            self.values["cache"] = "output"
            self.output = "output[-1]"

    def unpack(self, text: str, names: tuple[str, ...]) -> list[str]:
        """Assign a call's results to variables of the names they have in the user's code."""
        variables: list[str] = []
        for k, name in enumerate(names):
            free = bool(re.fullmatch(r"[A-Za-z]\w*", name)) and name not in _TAKEN
            variable = name if free else f"{name or 'result'}_{k}"
            variables.append(variable)
            if name:
                self.names[name] = variable
            if roles.role(name) in ("cache", "grads"):
                self.values[roles.role(name)] = variable
        self.lines.append(f"{', '.join(variables)} = {text}")
        return variables

    def backward(self, function: Function, text: str) -> None:
        """Call the backward pass for an update, and remember what its results are called."""
        returned = function.returned
        if returned.kind == "many":
            self.unpack(text, returned.names)
        elif returned.kind == "none":
            self.lines.append(text)
        else:
            self.lines.append(f"grads = {text}")
            self.values["grads"] = self.values["upstream"] = "grads"

    def finished(self, last: str) -> list[str]:
        """Return the statements, the last one added, without assigning what nothing uses."""
        kept = [last]
        for line in reversed(self.lines):
            target, equals, value = line.partition(" = ")
            variables = re.fullmatch(r"\w+(, \w+)*", target) if equals else None
            rest = "\n".join(kept)
            if not variables or any(re.search(rf"\b{n}\b", rest) for n in target.split(", ")):
                kept.insert(0, line)
            elif self._leaves_something:
                kept.insert(0, value)
        return kept
