"""D1's trainings: 784-30-10 and 784-100-10, the weights' scale, and outputs that die."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from numpy_impl import Sequential, losses, optimizers, training
from numpy_impl.layers import Dense
from numpy_impl.types import Array, Precision

from .... import recipes
from ....samples import RecipeSamples
from ...results import Context
from ...training import Training

# An output that says "yes, more likely than no" to no picture at all.
DEAD_BELOW = 0.5
QUICK_SAMPLES = 200


@dataclass(frozen=True)
class Kind:
    """A network and how its weights start.

    Attributes:
        recipe: "784-30-10" or "784-100-10".
        scaled: For the hidden and the output layer whether its weights are not from N(0, 1) but
            from N(0, 1/inputs), the book's cure in chapter 3.
    """

    recipe: str
    scaled: tuple[bool, bool] = (False, False)

    @property
    def weights(self) -> str:
        """Where the weights are drawn from, for tables."""
        return {
            (False, False): "N(0, 1)",
            (True, False): "hidden layer's scaled",
            (False, True): "output layer's scaled",
            (True, True): "N(0, 1)/√inputs",
        }[self.scaled]

    def __str__(self) -> str:
        return f"{self.recipe}, weights {self.weights}"


SMALL, LARGE, CURED = Kind("784-30-10"), Kind("784-100-10"), Kind("784-100-10", (True, True))
KINDS = (SMALL, LARGE, CURED)
HALVES = (Kind("784-100-10", (True, False)), Kind("784-100-10", (False, True)))


@dataclass(frozen=True)
class D1Run:
    """One training.

    Attributes:
        kind: Which network.
        seed: Of weights and order.
        test: Percent right of the test set after each epoch.
        validation: The same of the validation set.
        means: Mean output, shape (true digit, output), over the test set after the last epoch.
        largest: The largest value of each output over the test set after each epoch, shape
            (epochs, 10).
    """

    kind: Kind
    seed: int
    test: Sequence[float]
    validation: Sequence[float]
    means: Array
    largest: Array

    @property
    def best(self) -> float:
        """The best epoch on the test set: what the book quotes."""
        return max(self.test)

    @property
    def last(self) -> float:
        """After the last epoch."""
        return self.test[-1]

    @property
    def chosen(self) -> float:
        """After the epoch that is the (first) best on the validation set."""
        return self.test[int(np.argmax(self.validation))]

    @property
    def dead(self) -> list[int]:
        """The outputs that at the end stay below one half for every picture of the test set."""
        return self.dead_after(len(self.test))

    def dead_after(self, epochs: int) -> list[int]:
        """Return the same after so many epochs."""
        return _dead(self.largest[epochs - 1])


@dataclass(frozen=True)
class Trace:
    """The first epoch of one training, looked at between its steps.

    Attributes:
        kind: Which network.
        seed: Of weights and order.
        frozen: Whether the hidden layer was kept as it started.
        steps: Steps done, increasing, from 0.
        z: Mean weighted input of each output over validation pictures of its own digit, shape
            (len(steps), 10).
        dead: The outputs that at the end stay below one half for every validation picture.
    """

    kind: Kind
    seed: int
    frozen: bool
    steps: Sequence[int]
    z: Array
    dead: Sequence[int]


def _dead(largest: Array) -> list[int]:
    return np.flatnonzero(largest < DEAD_BELOW).tolist()


def load(context: Context) -> RecipeSamples:
    """Return MNIST as the document divides it, 50,000 / 10,000 / 10,000."""
    *_, split_rng, _ = context.generators(0)  # nothing is drawn: the pickle's own division
    samples = recipes.get(SMALL.recipe).load(context.data, split_rng, context.dtype)
    if not context.quick:
        return samples
    parts = ("x_train", "y_train", "x_valid", "y_valid", "x_test", "y_test")
    return replace(samples, **{part: getattr(samples, part)[:QUICK_SAMPLES] for part in parts})


def build(kind: Kind, rng: np.random.Generator, dtype: Precision = "float32") -> Sequential:
    """Build a sigmoid network, biases from N(0, 1).

    The draws are those of ``numpy_impl.models.build``; scaling divides by the root afterwards.
    """
    inputs, *sizes = (int(size) for size in kind.recipe.split("-"))
    kernels = ["scaled_normal" if scaled else "standard_normal" for scaled in kind.scaled]
    layers = [
        Dense(n, "sigmoid", kernel_initializer=kernel, bias_initializer="standard_normal")
        for n, kernel in zip(sizes, kernels, strict=True)
    ]
    return Sequential(layers, inputs, rng, dtype, str(kind))


def set_up(
    kind: Kind, seed: int, samples: RecipeSamples, context: Context, epochs: int
) -> Training:
    """Return the training by the recipe; it is that of ``scripts.train`` with the same seed."""
    recipe = recipes.get(kind.recipe)
    weights_rng, order_rng, *_ = context.generators(seed)
    return Training.of(
        build(kind, weights_rng, context.dtype),
        losses.get(recipe.loss),
        optimizers.get(recipe.optimizer, **recipe.options),
        samples,
        recipe.order(len(samples.x_train), recipe.batch_size, order_rng),
        context.at_most(epochs, 2),
    )


def train(
    kind: Kind,
    seed: int,
    samples: RecipeSamples,
    context: Context,
    epochs: int,
    on_epoch: Callable[[int, int], None] = lambda epoch, right: None,
) -> D1Run:
    """Train by the recipe and test after every epoch.

    Args:
        kind: Which network.
        seed: Of weights and order.
        samples: What :func:`load` gave.
        context: Gives the generators and says whether to be quick.
        epochs: How many.
        on_epoch: Called with the epoch's number from 0 and how many test pictures are right.
    """
    own = set_up(kind, seed, samples, context, epochs)
    test, validation, largest = [], [], []

    def after(epoch: int, logs: dict[str, float]) -> None:
        outputs = own.network().predict(samples.x_test)
        right = training.correct(outputs, samples.y_test)
        test.append(100 * right / len(samples.x_test))
        validation.append(100 * logs["val_accuracy"])
        largest.append(outputs.max(axis=0))
        on_epoch(epoch, right)

    own.run(validation_data=(samples.x_valid, samples.y_valid), on_epoch=after)
    means = _means(own.network().predict(samples.x_test), samples.y_test)
    return D1Run(kind, seed, test, validation, means, np.array(largest))


def _means(outputs: Array, y: Array) -> Array:
    """Return the mean outputs for each true digit; zeros for a digit that does not occur."""
    counts = np.maximum(y.sum(axis=0), 1)
    return (y.T @ outputs) / counts[:, None]


def trace(
    kind: Kind, seed: int, samples: RecipeSamples, context: Context, frozen: bool = False
) -> Trace:
    """Train for one epoch, exactly as :func:`train` does, and look at the outputs on the way.

    Args:
        kind: Which network.
        seed: Of weights and order.
        samples: What :func:`load` gave.
        context: Gives the generators.
        frozen: Whether to keep the hidden layer as it starts, which is not what :func:`train` does.
    """
    own = set_up(kind, seed, samples, context, 1)
    network, batches = own.network(), own.schedule(0)
    steps = _marks(len(batches))
    z = [_own_inputs(network, samples)]
    hidden = network.parameters[: network.slices[1].stop]
    start_values = hidden.copy()

    def after(step: int, logs: dict[str, float]) -> None:
        if frozen:
            hidden[...] = start_values
        if step + 1 in steps:
            z.append(_own_inputs(network, samples))

    own.fit(
        samples.x_train, samples.y_train, epochs=len(batches),
        schedule=lambda step: [batches[step]], on_epoch=after,
    )  # fmt: skip
    dead = _dead(network.predict(samples.x_valid).max(axis=0))
    return Trace(kind, seed, frozen, steps, np.array(z), dead)


def _marks(steps: int) -> list[int]:
    """Return 0, 1, 2, 3, 4, ... up to ``steps``, about eight in each tenfold."""
    spaced = np.unique(np.rint(np.geomspace(1, steps, 32)).astype(int))
    return [0, *spaced.tolist()]


def _own_inputs(network: Sequential, samples: RecipeSamples) -> Array:
    """Return the mean weighted input of each output over 2,000 pictures' own digits."""
    x, y = samples.x_valid[:2000], samples.y_valid[:2000]
    kernel, bias = network.weights[-2:]
    z = network.layer_outputs(x)[-2] @ kernel + bias
    return (z * y).sum(axis=0) / np.maximum(y.sum(axis=0), 1)
