"""Why nothing could be drafted, where the text of the module tells."""

import ast

from parity.drafting import roles
from parity.drafting.functions import assignments
from parity.drafting.survey import Survey
from parity.loading import called, makes_array

_PRODUCTS = ("dot", "matmul", "einsum")


def makes_anew(survey: Survey) -> str:
    """Return that a training makes the weights itself, so that no others can be tried in it."""
    for name, found in survey.classes.items():
        for method in roles.named(found.methods, roles.WHOLE_TRAININGS):
            function = found.methods[method]
            for target, value in assignments(function.body):
                if isinstance(target, ast.Attribute) and makes_array(value):
                    return (
                        f"{name}.{method} makes new weights at each call (line {value.lineno}), so "
                        "that no others can be tried in it: make them in __init__, or in a method "
                        f"that {method} calls"
                    )
    return ""


def in_a_loop(survey: Survey) -> str:
    """Return that the network stands in a loop, where nothing can call it."""
    for node in ast.walk(survey.tree):
        if isinstance(node, (ast.For, ast.While)) and _trains(node):
            return (
                f"the network stands in the loop of line {node.lineno}, which nothing can call a "
                "part of: put it into functions, forward(x) and gradients(x, y) or step(x, y)"
            )
    return ""


def _trains(loop: ast.For | ast.While) -> bool:
    """Whether a loop multiplies matrices and changes something by it."""
    nodes = [n for statement in loop.body for n in ast.walk(statement)]
    products = any(
        called(n) in _PRODUCTS or (isinstance(n, ast.BinOp) and isinstance(n.op, ast.MatMult))
        for n in nodes
    )
    changes = (
        any(isinstance(n, ast.AugAssign) for n in nodes)
        or sum(isinstance(n, ast.Assign) for n in nodes) > 3
    )
    return products and changes
