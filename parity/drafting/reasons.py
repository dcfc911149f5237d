"""Why nothing could be drafted, where the text of the module tells."""

import ast

from parity.drafting import roles
from parity.drafting.functions import assignments
from parity.drafting.survey import Survey
from parity.loading import makes_array


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
