"""D1's program in its own form: samples as columns, one at a time, gradients summed by hand."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from numpy_impl import losses, models, optimizers, training
from numpy_impl.types import Array

from .... import recipes
from ....samples import RecipeSamples


def _sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


class ColumnNetwork:
    """The document's Network: biases (n, 1), weights (n_out, n_in), all from N(0, 1).

    Args:
        sizes: Units of each layer, from the inputs on.
        rng: Draws the weights and biases.

    Reference: Nielsen (2015), "Neural networks and deep learning", chapters 1 and 2; document D1.
    """

    def __init__(self, sizes: Sequence[int], rng: np.random.Generator) -> None:
        self.biases = [rng.standard_normal((n, 1)) for n in sizes[1:]]
        self.weights = [rng.standard_normal((n_out, n_in)) for n_in, n_out in pairwise(sizes)]

    def activations(self, x: Array) -> list[Array]:
        """Return the activations of all layers for one sample, shape (inputs, 1), itself first."""
        found = [x]
        for w, b in zip(self.weights, self.biases, strict=True):
            found.append(_sigmoid(w @ found[-1] + b))
        return found

    def backprop(self, x: Array, y: Array) -> tuple[list[Array], list[Array]]:
        """Return the gradients of ``1/2 |a - y|^2`` for one sample: of the biases, the weights."""
        a = self.activations(x)
        delta = (a[-1] - y) * a[-1] * (1 - a[-1])
        of_biases, of_weights = [delta], [delta @ a[-2].T]
        for layer in reversed(range(len(self.weights) - 1)):
            below, here = a[layer], a[layer + 1]
            delta = (self.weights[layer + 1].T @ delta) * here * (1 - here)
            of_biases.insert(0, delta)
            of_weights.insert(0, delta @ below.T)
        return of_biases, of_weights

    def update(self, x: Array, y: Array, eta: float) -> None:
        """Take the step ``w <- w - eta/m sum_x dC_x/dw`` for a mini-batch of m rows."""
        of_samples = [
            self.backprop(sample[:, None], target[:, None])
            for sample, target in zip(x, y, strict=True)
        ]
        for own, gradients in (
            (self.biases, [biases for biases, _ in of_samples]),
            (self.weights, [weights for _, weights in of_samples]),
        ):
            for parameter, each in zip(own, zip(*gradients, strict=True), strict=True):
                parameter -= eta / len(x) * np.sum(each, axis=0)


def difference(samples: RecipeSamples, seed: int, steps: int) -> float:
    """Return how far the document's program and ours are apart after ``steps`` equal steps.

    Both train 784-30-10 in float64, from the same weights, on the same mini-batches of 10.

    Returns:
        The largest difference of any weight or bias, divided by the largest of them.
    """
    recipe = recipes.get("784-30-10")
    weights_rng, order_rng = np.random.default_rng(seed).spawn(2)
    network = models.build(recipe.network, weights_rng, dtype="float64")
    theirs = ColumnNetwork([784, 30, 10], weights_rng)
    theirs.weights = [kernel.T.copy() for kernel in network.weights[::2]]
    theirs.biases = [bias[:, None].copy() for bias in network.weights[1::2]]
    x, y = samples.x_train.astype("float64"), samples.y_train.astype("float64")
    batches = recipe.order(len(x), recipe.batch_size, order_rng)(0)[:steps]
    eta = recipe.options["learning_rate"]
    training.train_epoch(
        network, losses.get(recipe.loss), optimizers.get("sgd", learning_rate=eta), x, y, batches
    )
    for batch in batches:
        theirs.update(x[batch], y[batch], eta)
    pairs = zip(network.weights[::2], theirs.weights, strict=True)
    apart = [np.max(np.abs(ours - own.T)) for ours, own in pairs]
    pairs = zip(network.weights[1::2], theirs.biases, strict=True)
    apart += [np.max(np.abs(ours - own[:, 0])) for ours, own in pairs]
    return float(max(apart) / np.max(np.abs(network.parameters)))
