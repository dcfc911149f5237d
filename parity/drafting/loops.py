"""Passing through a list of layers where no function of the module does it."""

import inspect
from collections.abc import Iterator
from typing import Any

from parity.drafting import roles
from parity.drafting.callees import Available, Callee, callee, is_own
from parity.drafting.world import World, inside


def layer_lists(world: World) -> Iterator[tuple[str, list[Any]]]:
    """Yield the lists of the user's objects that all have a forward pass, by expression."""
    for path, root in world.roots().items():
        places = [(path, root)]
        if is_own(type(root), world):
            places += [(path + step, value) for step, _, value in inside(root)]
        for place, value in places:
            layers = [inner for _, _, inner in inside(value)]
            if layers and isinstance(value, (list, tuple)) and _are_layers(layers, world):
                yield place, layers


def _are_layers(layers: list[Any], world: World) -> bool:
    return all(is_own(v.__class__, world) and _method(v, roles.FORWARD) for v in layers)


def _method(layer: Any, vocabulary: tuple[str, ...]) -> str:
    return next(iter(roles.named(dir(layer.__class__), vocabulary)), "")


def _callee(layer: Any, name: str) -> Callee:
    found = callee(f"layer.{name}", getattr(layer, name))
    return found or Callee(f"layer.{name}", name, (), None)


def forward(world: World) -> Iterator[tuple[Callee, list[str]]]:
    """Yield forward passes, layer by layer, that leave ``output``."""
    for path, layers in layer_lists(world):
        used = _callee(layers[0], _method(layers[0], roles.FORWARD))
        call = "layer(output)" if used.name == "__call__" else f"layer.{used.name}(output)"
        kept = roles.best_output(_writes(used)) if _keeps(used) else ""
        lines = ["output = x", f"for layer in {path}:", *_through("output", call, kept)]
        yield _named(used, layers[0]), lines


def backward(world: World, known: Available) -> Iterator[tuple[Callee, Available]]:
    """Yield what is known once the layers were passed through backwards.

    Args:
        known: What is known after the forward pass.
    """
    for path, layers in layer_lists(world):
        weighted = [v for v in layers if _method(v, roles.BACKWARD)]
        if len(weighted) < len(layers):
            continue
        used = _callee(layers[0], _method(layers[0], roles.BACKWARD))
        rate = ", learning_rate" if used.takes("rate") else ""
        call = f"layer.{used.name}(gradient{rate})"
        kept = input_gradient(used) if _keeps(used) else ""
        for slope in known.roles.get("slope", [])[:3]:
            after = known.copy()
            *before, slope = slope.split("\n")
            after.lines += [*before, f"gradient = {slope}", f"for layer in reversed({path}):"]
            after.lines += _through("gradient", call, kept)
            yield _named(used, layers[0]), after


def updates(world: World, known: Available) -> Iterator[tuple[Callee, Available]]:
    """Yield what is known once every layer was told to update its weights."""
    for path, layers in layer_lists(world):
        names = [_method(v, roles.UPDATE) for v in layers]
        name = next(filter(None, names), "")
        if not name or not inspect.isroutine(getattr(layers[0], name, None)):
            continue
        used = _callee(layers[0], name)
        if any(not used.takes("rate") for _ in used.parameters[:1]):
            continue
        call = f"layer.{name}({'learning_rate' if used.parameters else ''})"
        after = known.copy()
        after.lines += [f"for layer in {path}:"]
        if not all(hasattr(v, name) for v in layers):
            after.lines.append(f'    if hasattr(layer, "{name}"):')
            call = f"    {call}"
        after.lines.append(f"    {call}")
        yield _named(used, layers[0]), after


def _named(used: Callee, layer: Any) -> Callee:
    return Callee(used.text, f"{type(layer).__name__}.{used.name}", used.parameters, None)


def _keeps(used: Callee) -> bool:
    return used.source is not None and used.source.returned.kind == "none"


def _writes(used: Callee) -> list[str]:
    return sorted(used.source.writes) if used.source else []


def input_gradient(used: Callee) -> str:
    """Return where a backward pass that returns nothing leaves the gradient of its input."""
    names = _writes(used)
    found = [roles.gradient_of(name, names) for name in ("inputs", "input", "x")]
    return next(filter(None, found), "")


def _through(variable: str, call: str, kept: str) -> list[str]:
    """Return the lines that pass a variable through a layer, which may keep its result."""
    if not kept:
        return [f"    {variable} = {call}"]
    return [f"    {call}", f"    {variable} = layer.{kept}"]
