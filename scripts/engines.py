"""Both engines behind one door: the same recipe, initial weights and batches go into either."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from numpy_impl import Sequential, losses, models, optimizers, training
from numpy_impl.training import Schedule
from numpy_impl.types import Array, Precision
from terminal_io import CliError

from .recipes import Recipe

if TYPE_CHECKING:
    from keras_impl import keras
    from keras_impl.data_parallel import Group

Logs = dict[str, float]
ENGINES = ("keras", "numpy")
# Keras's, of ``keras_impl``; what is not installed is an extra of the project's.
BACKENDS = ("tensorflow", "jax", "torch")


@dataclass(frozen=True)
class TrainingPlan:
    """What is to be trained, and how.

    Attributes:
        name: The network, as ``numpy_impl.models.build`` takes it.
        loss: Its name in both engines.
        optimizer: A name in ``numpy_impl.optimizers.OPTIMIZERS``.
        options: The optimizer's arguments.
        dtype: "float32" or "float64".
        dropout: Rate of the dropout after each hidden layer; None: the document's own.
        metrics: What to measure beside the loss, "accuracy" and "squared_error".
    """

    name: str
    loss: str
    optimizer: str
    options: Mapping[str, float]
    dtype: Precision = "float32"
    dropout: float | None = None
    metrics: tuple[str, ...] = ("accuracy",)

    @classmethod
    def of(cls, recipe: Recipe, dtype: Precision = "float32") -> "TrainingPlan":
        """Return what a recipe wants to have built."""
        r = recipe
        return cls(r.network, r.loss, r.optimizer, r.options, dtype, r.dropout, r.metrics)


class Trainer(Protocol):
    """What an engine offers to the commands."""

    def fit(
        self,
        x: Array,
        y: Array,
        *,
        epochs: int,
        initial_epoch: int = 0,
        initial_step: int = 0,
        schedule: Schedule,
        validation_data: tuple[Array, Array] | None = None,
        learning_rate: Callable[[int], float] | None = None,
        augment: Callable[[int, Array], Array] | None = None,
        on_batch: Callable[[int, Logs], None] | None = None,
        on_epoch: Callable[[int, Logs], bool] | None = None,
    ) -> None:
        """Train from ``initial_epoch`` on up to ``epochs`` in all.

        ``initial_step`` is how many batches of the next epoch lie behind, too, of which
        :meth:`restore` got the means.
        ``on_batch`` gets the number of batches done in the epoch and running means.
        """
        ...

    def predict(self, x: Array) -> Array:
        """Return the outputs, dropout inactive."""
        ...

    def network(self) -> Sequential:
        """Return the network as it is now, as a NumPy one."""
        ...

    def state(self) -> dict[str, Array]:
        """Return copies of what a training goes on with beside the weights.

        They are the optimizer's slots and number of steps, and where dropout's generators stand.
        """
        ...

    def means(self) -> list[float]:
        """Return the sums of which the running means of this epoch are computed."""
        ...

    def restore(
        self, weights: Sequence[Array], state: Mapping[str, Array], means: Sequence[float] = ()
    ) -> None:
        """Go back to these weights and to what :meth:`state` returned then.

        In the middle of an epoch, ``means`` are what :meth:`means` returned.

        Raises:
            ValueError: They are of another network, optimizer or engine.
        """
        ...

    def leave(self) -> None:
        """Do without other processes from here on, if there are any; train no more then."""
        ...


def check_backend() -> None:
    """Refuse a backend of Keras's that is not there, without importing Keras.

    Else a training in NumPy would find that out when all is over and ``model.keras`` is written.

    Raises:
        CliError: ``KERAS_BACKEND`` names another, or one that is not installed.
    """
    named = os.environ.get("KERAS_BACKEND")
    if not named:
        return
    if named not in BACKENDS or find_spec(named) is None:
        missing = ", which is not installed" if named in BACKENDS else ""
        raise CliError(
            f"KERAS_BACKEND: expected one of {', '.join(BACKENDS)}. Received: {named}{missing}"
        )


def generator_state(rng: np.random.Generator) -> Array:
    """Return where a generator stands, as text in an array, for files without pickle."""
    return np.array(json.dumps(rng.bit_generator.state))


def restore_generator(rng: np.random.Generator, state: Array) -> None:
    """Let a generator go on from where :func:`generator_state` found it.

    Raises:
        ValueError: The state of another kind of generator, or no state.
    """
    try:
        rng.bit_generator.state = json.loads(str(state))
    except (TypeError, KeyError, OverflowError) as error:
        raise ValueError(f"expected the state of a generator. Received: {state}") from error


def _described(array: Array) -> str:
    # The texts of generators differ in length, and so in dtype.
    kind = "text" if array.dtype.kind == "U" else array.dtype.name
    return f"{kind} of shape {array.shape}"


def _check_state(own: Mapping[str, Array], given: Mapping[str, Array]) -> None:
    """Check that arrays have the names, shapes and kinds of numbers of others."""
    for name in sorted(own.keys() | given.keys()):
        expected, received = (_described(a[name]) if name in a else "none" for a in (own, given))
        if expected != received:
            raise ValueError(f"expected as {name}: {expected}. Received: {received}")


def _check_means(count: int, given: Sequence[float]) -> None:
    if len(given) != count:
        raise ValueError(f"expected {count} sums of means. Received: {len(given)}")


@contextmanager
def trainer(
    engine: str, plan: TrainingPlan, rng: np.random.Generator, group: "Group | None" = None
) -> Iterator[Trainer]:
    """Build a network in an engine; in the block it can be trained and asked.

    Args:
        engine: "keras" or "numpy".
        plan: What to build. Both engines start from the same weights for the same ``rng``; the
            masks of a dropout layer differ.
        rng: Draws the initial weights and the dropout masks.
        group: The processes that train together, with Keras on JAX; None: this one alone.

    Raises:
        ValueError: An engine, network, loss or optimizer that is not known.
    """
    network = models.build(plan.name, rng, dtype=plan.dtype, dropout=plan.dropout)
    if engine == "numpy":
        yield _NumpyTrainer(network, plan)
    elif engine == "keras":
        # Late, because it takes four seconds and the NumPy engine does without.
        import keras_impl

        with keras_impl.precision(plan.dtype):
            if group is None:
                yield _KerasTrainer(network, plan, rng)
            else:
                yield _DataParallelTrainer(network, plan, rng, group)
    else:
        raise ValueError(f"Expected an engine of {', '.join(ENGINES)}. Received: {engine!r}")


def keras_optimizer(name: str, options: Mapping[str, float]) -> "keras.optimizers.Optimizer":
    """Return Keras's optimizer of a name in ``numpy_impl.optimizers.OPTIMIZERS``."""
    from keras_impl import keras

    return getattr(keras.optimizers, optimizers.OPTIMIZERS[name].__name__)(**options)


class _NumpyTrainer:
    def __init__(self, network: Sequential, plan: TrainingPlan) -> None:
        self._network = network
        # Keras on TensorFlow evaluates a cross-entropy together with the output layer's softmax.
        fused = {"fused": True} if plan.loss.endswith("crossentropy") else {}
        self._loss = losses.get(plan.loss, **fused)
        self._optimizer = optimizers.get(plan.optimizer, **plan.options)
        self._optimizer.build_for(network)
        self._means = training.Means(plan.metrics)

    def fit(
        self,
        x: Array,
        y: Array,
        *,
        epochs: int,
        initial_epoch: int = 0,
        initial_step: int = 0,
        schedule: Schedule,
        validation_data: tuple[Array, Array] | None = None,
        learning_rate: Callable[[int], float] | None = None,
        augment: Callable[[int, Array], Array] | None = None,
        on_batch: Callable[[int, Logs], None] | None = None,
        on_epoch: Callable[[int, Logs], bool] | None = None,
    ) -> None:
        # A learning rate that is too large overflows; the caller sees it in the loss.
        with np.errstate(all="ignore"):
            training.fit(
                self._network,
                self._loss,
                self._optimizer,
                x,
                y,
                epochs=epochs,
                initial_epoch=initial_epoch,
                initial_step=initial_step,
                schedule=schedule,
                means=self._means,
                validation_data=validation_data,
                learning_rate=learning_rate,
                augment=augment,
                on_batch=on_batch,
                on_epoch=on_epoch,
            )

    def predict(self, x: Array) -> Array:
        return self._network.predict(x)

    def network(self) -> Sequential:
        return self._network

    def state(self) -> dict[str, Array]:
        return {
            **{f"optimizer/{name}": slot.copy() for name, slot in self._optimizer.state.items()},
            "optimizer/iterations": np.array(self._optimizer.iterations),
            **{
                f"dropout/{i}": generator_state(layer.rng)
                for i, layer in enumerate(self._network.dropouts)
            },
        }

    def means(self) -> list[float]:
        return [float(self._means.samples), *self._means.sums.values()]

    def restore(
        self, weights: Sequence[Array], state: Mapping[str, Array], means: Sequence[float] = ()
    ) -> None:
        _check_state(self.state(), state)
        if means:
            _check_means(1 + len(self._means.sums), means)
            self._means.samples = int(means[0])
            self._means.sums = dict(zip(self._means.sums, means[1:], strict=True))
        self._network.set_weights(weights)
        for name, slot in self._optimizer.state.items():
            slot[...] = state[f"optimizer/{name}"]
        self._optimizer.iterations = int(state["optimizer/iterations"])
        for i, layer in enumerate(self._network.dropouts):
            restore_generator(layer.rng, state[f"dropout/{i}"])

    def leave(self) -> None:
        pass


class _KerasTrainer:
    def __init__(self, network: Sequential, plan: TrainingPlan, rng: np.random.Generator) -> None:
        from keras_impl import losses, models, training
        from parity import copy_weights

        optimizer = keras_optimizer(plan.optimizer, plan.options)
        self._model = models.build(plan.name, rng, dropout=plan.dropout)
        self._sums = training.compile_model(
            self._model, losses.get(plan.loss), optimizer, plan.metrics
        )
        optimizer.build(self._model.trainable_variables)
        self._fit = training.fit
        self._copy_weights = copy_weights
        self._network = network
        self._means: list[float] = []
        self._part: Callable[[Array], Array] | None = None
        copy_weights(network, self._model)

    def fit(
        self,
        x: Array,
        y: Array,
        *,
        epochs: int,
        initial_epoch: int = 0,
        initial_step: int = 0,
        schedule: Schedule,
        validation_data: tuple[Array, Array] | None = None,
        learning_rate: Callable[[int], float] | None = None,
        augment: Callable[[int, Array], Array] | None = None,
        on_batch: Callable[[int, Logs], None] | None = None,
        on_epoch: Callable[[int, Logs], bool] | None = None,
    ) -> None:
        self._fit(
            self._model, x, y, epochs=epochs, initial_epoch=initial_epoch,
            initial_step=initial_step, schedule=schedule,
            means=list(zip(self._sums, self._means, strict=True)) if initial_step else (),
            validation_data=validation_data, learning_rate=learning_rate, augment=augment,
            on_batch=on_batch, on_epoch=on_epoch, part=self._part,
        )  # fmt: skip

    def predict(self, x: Array) -> Array:
        return np.asarray(self._model.predict_on_batch(x))

    def network(self) -> Sequential:
        self._sync()
        self._copy_weights(self._model, self._network)
        return self._network

    def state(self) -> dict[str, Array]:
        self._sync()
        return {name: np.array(variable) for name, variable in self._variables().items()}

    def means(self) -> list[float]:
        self._sync()
        return [float(variable) for variable in self._sums]

    def restore(
        self, weights: Sequence[Array], state: Mapping[str, Array], means: Sequence[float] = ()
    ) -> None:
        _check_state(self.state(), state)
        if means:
            _check_means(len(self._sums), means)
        self._means = list(means)
        self._network.set_weights(weights)
        self._copy_weights(self._network, self._model)
        for name, variable in self._variables().items():
            variable.assign(state[name])

    def leave(self) -> None:
        pass

    def _sync(self) -> None:
        """Bring the variables up to date: on JAX an epoch's steps leave them as they were."""
        if hasattr(self._model, "jax_state_sync"):
            self._model.jax_state_sync()

    def _variables(self) -> dict[str, Any]:
        """Return the variables of the optimizer, and those of the seed generators.

        Keras saves the latter with no model: a dropout layer that is loaded draws from the
        beginning.
        """
        optimizer: Any = self._model.optimizer
        model: Any = self._model
        weights = {id(variable) for variable in model.weights}
        seeds = [variable for variable in model.variables if id(variable) not in weights]
        return {
            **{f"optimizer/{i}": variable for i, variable in enumerate(optimizer.variables)},
            **{f"seed/{i}": variable for i, variable in enumerate(seeds)},
        }


class _DataParallelTrainer(_KerasTrainer):
    """Keras in several processes, which all have to ask for the same at the same time.

    They train together, and weights are set in all of them. Outputs are computed by the NumPy twin,
    in every process for itself: Keras would want the samples of all of them.
    """

    def __init__(
        self, network: Sequential, plan: TrainingPlan, rng: np.random.Generator, group: "Group"
    ) -> None:
        super().__init__(network, plan, rng)
        from keras_impl import keras
        from parity import numpy_loss

        model: Any = self._model
        self._loss = numpy_loss(model.loss, model)
        self._metrics = plan.metrics
        self._part = group.part
        self._distribution = keras.distribution
        self._is_alone = False

    def fit(
        self,
        x: Array,
        y: Array,
        *,
        validation_data: tuple[Array, Array] | None = None,
        on_epoch: Callable[[int, Logs], bool] | None = None,
        **options: Any,
    ) -> None:
        def measured(epoch: int, logs: Logs) -> bool:
            if validation_data is not None:
                network = self.network()
                own = training.evaluate(network, self._loss, *validation_data, self._metrics)
                logs = logs | {f"val_{name}": value for name, value in own.items()}
            return on_epoch is not None and on_epoch(epoch, logs)

        super().fit(x, y, on_epoch=measured, **options)

    def predict(self, x: Array) -> Array:
        return self.network().predict(x)

    def network(self) -> Sequential:
        return self._network if self._is_alone else super().network()

    def restore(
        self, weights: Sequence[Array], state: Mapping[str, Array], means: Sequence[float] = ()
    ) -> None:
        if self._is_alone:
            self._network.set_weights(weights)
        else:
            super().restore(weights, state, means)

    def leave(self) -> None:
        # What Keras makes from here on is for this process alone: the file of the model, say.
        self._network = self.network()
        self._is_alone = True
        self._distribution.set_distribution(None)
