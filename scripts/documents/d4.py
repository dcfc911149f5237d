"""D4: the perceptron, gradient descent, and 784-500-300-10 in Keras."""

import numpy as np

from scripts import recipes
from scripts.documents import d4_asked, d4_descent, d4_network, d4_perceptron
from scripts.documents.results import Context, Results, Table, spread

# Measured by ``python -m scripts.accuracy --names mnist-regularized --engines numpy``, in percent:
# mean and standard deviation of five seeds. Fifty epochs are too many to train here.
REGULARIZED = "98.64 ± 0.07"


def reproduce(context: Context) -> Results:
    """Run everything that the document shows.

    Raises:
        DatasetError: No MNIST, or one without the test picture that the document asks about.
    """
    seen = d4_asked.looked_at(d4_asked.picture(context), context.data)
    recipe = recipes.get(d4_network.NAME)
    samples = recipe.load(context.data, np.random.default_rng(0), d4_network.DTYPE)
    network, own = d4_network.reproduce(context, samples)
    parts = [
        d4_perceptron.reproduce(context),
        d4_descent.reproduce(context),
        network,
        d4_asked.reproduce(context, samples, own, seen),
    ]
    tables = {name: table for part in parts for name, table in part.tables.items()}
    values = {name: value for part in parts for name, value in part.values.items()}
    tables["errors"] = _errors(network, values["robust"])
    return Results(tables, network.targets, values)


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
