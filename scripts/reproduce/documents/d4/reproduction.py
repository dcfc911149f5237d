"""D4: the perceptron, gradient descent, and 784-500-300-10 in Keras."""

from collections.abc import Callable
from functools import partial

import numpy as np

from .... import recipes
from ...results import Context, Results, Table, spread
from ...training import Begun
from . import asked, descent, perceptron
from . import network as networks

# Measured by ``python -m tools.accuracy --names mnist-regularized --engines numpy``, in percent:
# mean and standard deviation of five seeds. Fifty epochs are too many to train here.
REGULARIZED = "98.64 ± 0.07"


def reproduce(context: Context) -> Results:
    """Run everything that the document shows.

    Raises:
        DatasetError: No MNIST, or one without the test picture that the document asks about.
    """
    seen = asked.looked_at(asked.picture(context), context.data)
    recipe = recipes.get(networks.NAME)
    samples = recipe.load(context.data, np.random.default_rng(0), context.dtype)
    network, own = networks.reproduce(context, samples)
    parts = [
        perceptron.reproduce(context),
        descent.reproduce(context),
        network,
        asked.reproduce(context, samples, own, seen),
    ]
    tables = {name: table for part in parts for name, table in part.tables.items()}
    values = {name: value for part in parts for name, value in part.values.items()}
    tables["errors"] = _errors(network, values["robust"])
    return Results(tables, network.targets, values)


def beginnings(context: Context) -> dict[str, Callable[[], Begun]]:
    """Return the trainings of the network by name, the descents, and how the perceptron learns."""
    samples = recipes.get(networks.NAME).load(context.data, np.random.default_rng(0), context.dtype)
    named: dict[str, Callable[[], Begun]] = {
        f"{networks.NAME}, {networks.SHOWN[optimizer]}": partial(
            networks.begun, context, samples, optimizer
        )
        for optimizer in (networks.RMSPROP, networks.SGD)
    }
    for case in descent.CASES:
        named[f"descent, {case.name}"] = partial(descent.Descent, case)
    named["perceptron"] = perceptron.Learning
    return named


def _errors(network: Results, robust: float) -> Table:
    """Return test errors beside those of LeCun's table, the largest first."""
    mean, _, deviation = REGULARIZED.partition(" ± ")
    regularized = f"{100 - float(mean):.2f} ± {deviation}"
    rows = [
        [target.what, "none", spread([100 - right for right in target.measured])]
        for target in network.targets
    ]
    rows += [
        ["500 + 300 units, weight decay: G. Hinton (2005)", "none", "1.53"],
        ["mnist-regularized: dropout, weight decay", "none", regularized],
        ["800 units: Simard, Steinkraus, Platt (2003)", "elastic", "0.7"],
        ["mnist-robust", "elastic and others", f"{100 - robust:.2f}"],
    ]
    rows.sort(key=lambda row: -float(row[2].partition(" ")[0]))
    return Table("Test errors in percent", ["network", "distortions", "error, %"], rows)
