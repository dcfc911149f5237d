"""Who is measured. A contender does a work over and over, and takes turns with the others.

Each is a function ``(work, x, y, turn)`` that prepares itself, does the work once to warm up, and
then does it again as long as ``turn()`` says so; ``turn`` is called each time the work is done.
All train in float32 and measure loss and accuracy on the way, as Keras's ``fit`` does.
"""

import math
import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from numpy_impl import Sequential, compiling, fused, layers, losses, models, optimizers, training
from tools.benchmark.works import LENET, RATES, Array, Work

Turn = Callable[[], bool]
ENDLESS = 10**9


def _schedule(work: Work) -> Callable[[int], list[np.ndarray]]:
    return training.shuffled(work.samples, work.batch, np.random.default_rng(0))


def compiled_engine(work: Work, x: Array, y: Array, turn: Turn) -> None:
    """This project's NumPy engine; in a long training its formulas are compiled at the start."""
    fused.PATIENCE = -1.0
    numpy_engine(work, x, y, turn)


def uncompiled_engine(work: Work, x: Array, y: Array, turn: Turn) -> None:
    """The same as where Numba is not installed."""
    fused.PATIENCE = math.inf
    numpy_engine(work, x, y, turn)


def numpy_engine(work: Work, x: Array, y: Array, turn: Turn) -> None:
    """This project's NumPy engine."""
    network = own_network(work)
    if work.do == "predict":
        while True:
            for _ in range(work.repeat):
                network.predict(x)
            if not turn():
                return
    loss = _own_loss(work)
    optimizer = optimizers.get(work.optimizer, learning_rate=RATES[work.optimizer])

    def on_epoch(epoch: int, logs: dict[str, float]) -> bool:
        if epoch == 0:  # the warm-up
            compiling.wait()
        return not turn()

    training.fit(
        network, loss, optimizer, x, y, epochs=ENDLESS, schedule=_schedule(work), on_epoch=on_epoch
    )


def _own_loss(work: Work) -> losses.Loss:
    if work.is_quadratic:
        return losses.get("quadratic")
    return losses.get("categorical_crossentropy", fused=True)


def own_network(work: Work) -> Sequential:
    """Return the work's network in NumPy, with weights drawn from seed 0."""
    if work.network == LENET:
        return models.build(work.network, np.random.default_rng(0))
    built: list[layers.Layer] = []
    for units, activation in zip(work.sizes[1:], work.activations, strict=True):
        if built and work.dropout:
            built.append(layers.Dropout(work.dropout))
        built.append(layers.Dense(units, activation, use_bias=work.has_bias))
    return Sequential(built, work.sizes[0], np.random.default_rng(0), name=work.network)


def keras_script(work: Work, x: Array, y: Array, turn: Turn) -> None:
    """This project's Keras script, on the backend that KERAS_BACKEND names."""
    from keras_impl import keras
    from keras_impl import losses as keras_losses
    from keras_impl import training as keras_training
    from parity import keras_twin

    model = keras_twin(own_network(work))
    if work.do == "predict":
        while True:
            for _ in range(work.repeat):
                model.predict_on_batch(x)
            if not turn():
                return
    kinds = {
        "sgd": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
        "adam": keras.optimizers.Adam,
    }
    optimizer = kinds[work.optimizer](RATES[work.optimizer])
    loss = keras_losses.get("quadratic" if work.is_quadratic else "categorical_crossentropy")
    keras_training.compile_model(model, loss, optimizer)
    keras_training.fit(
        model, x, y, epochs=ENDLESS, schedule=_schedule(work),
        on_epoch=lambda epoch, logs: not turn(),
    )  # fmt: skip


def jax_alone(work: Work, x: Array, y: Array, turn: Turn) -> None:
    """JAX without Keras: an epoch is one compiled function, a scan over its steps."""
    import jax  # pyright: ignore[reportMissingImports]
    import jax.numpy as jnp  # pyright: ignore[reportMissingImports]

    kinds = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu, "tanh": jnp.tanh}
    weights = [jnp.asarray(w) for w in own_network(work).weights]
    per_layer = 2 if work.has_bias else 1
    inputs, targets = jnp.asarray(x), jnp.asarray(y)
    rate, beta_1, beta_2, rho, epsilon = RATES[work.optimizer], 0.9, 0.999, 0.9, 1e-7

    def outputs(weights, a, key):
        for i, activation in enumerate(work.activations):
            if i and key is not None and work.dropout:
                keep = jax.random.bernoulli(jax.random.fold_in(key, i), 1 - work.dropout, a.shape)
                a = a * keep / (1 - work.dropout)
            layer = weights[per_layer * i : per_layer * (i + 1)]
            z = a @ layer[0] + (layer[1] if work.has_bias else 0)
            a = z if activation == "softmax" else kinds[activation](z)  # its logits
        return a

    def cost(weights, a, target, key):
        found = outputs(weights, a, key)
        if work.is_quadratic:
            return ((found - target) ** 2).sum() / (2 * len(a)), found
        return -(target * jax.nn.log_softmax(found)).sum() / len(a), found

    def stepped(weights, state, gradients):
        if work.optimizer == "sgd":
            return [w - rate * g for w, g in zip(weights, gradients, strict=True)], state
        if work.optimizer == "rmsprop":
            state = [rho * v + (1 - rho) * g * g for v, g in zip(state, gradients, strict=True)]
            moved = zip(weights, gradients, state, strict=True)
            return [w - rate * g / (jnp.sqrt(v) + epsilon) for w, g, v in moved], state
        t, m, v = state
        t = t + 1
        m = [beta_1 * a + (1 - beta_1) * g for a, g in zip(m, gradients, strict=True)]
        v = [beta_2 * a + (1 - beta_2) * g * g for a, g in zip(v, gradients, strict=True)]
        alpha = rate * jnp.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        moved = zip(weights, m, v, strict=True)
        return [w - alpha * a / (jnp.sqrt(b) + epsilon) for w, a, b in moved], (t, m, v)

    @jax.jit
    def epoch(weights, state, key):
        order = jax.random.permutation(key, work.samples)
        order = order[: work.samples // work.batch * work.batch].reshape(-1, work.batch)

        def step(carried, batch):
            weights, state, key = carried
            key, masks = jax.random.split(key)
            (value, found), gradients = jax.value_and_grad(cost, has_aux=True)(
                weights, inputs[batch], targets[batch], masks
            )
            right = (found.argmax(1) == targets[batch].argmax(1)).sum()
            weights, state = stepped(weights, state, gradients)
            return (weights, state, key), (value, right)

        (weights, state, _), (costs, right) = jax.lax.scan(step, (weights, state, key), order)
        return weights, state, costs.mean(), right.sum()

    if work.do == "predict":
        ask = jax.jit(lambda weights, a: jax.nn.softmax(outputs(weights, a, None)))
        while True:
            for _ in range(work.repeat):
                ask(weights, inputs).block_until_ready()
            if not turn():
                return
    zeros = [jnp.zeros_like(w) for w in weights]
    state = (jnp.zeros(()), zeros, zeros) if work.optimizer == "adam" else zeros
    key = jax.random.PRNGKey(0)
    while True:
        key, order = jax.random.split(key)
        weights, state, *told = epoch(weights, state, order)
        jax.block_until_ready((weights, told))
        if not turn():
            return


def compiled_pytorch(work: Work, x: Array, y: Array, turn: Turn) -> None:
    """PyTorch with its model compiled, which needs a C++ compiler."""
    pytorch(work, x, y, turn, compiles=True)


def pytorch(work: Work, x: Array, y: Array, turn: Turn, compiles: bool = False) -> None:
    """PyTorch, by the loop of its tutorials, with the batches taken from memory."""
    import torch  # pyright: ignore[reportMissingImports]
    from torch import nn  # pyright: ignore[reportMissingImports]

    kinds = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh}
    stack = []
    for i, (inputs, units) in enumerate(zip(work.sizes, work.sizes[1:], strict=False)):
        if i and work.dropout:
            stack.append(nn.Dropout(work.dropout))
        stack.append(nn.Linear(inputs, units, bias=work.has_bias))
        if work.activations[i] != "softmax":  # cross-entropy takes the logits
            stack.append(kinds[work.activations[i]]())
    model: Any = nn.Sequential(*stack)
    if compiles:
        model = torch.compile(model)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    if work.do == "predict":
        model.eval()
        with torch.inference_mode():
            while True:
                for _ in range(work.repeat):
                    model(inputs)
                if not turn():
                    return
    labels = targets.argmax(1)
    kinds = {"sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop, "adam": torch.optim.Adam}
    optimizer = kinds[work.optimizer](model.parameters(), RATES[work.optimizer])
    cross_entropy = nn.CrossEntropyLoss()
    while True:
        costs, right = torch.zeros(()), torch.zeros((), dtype=torch.long)
        for batch in torch.randperm(work.samples).split(work.batch):
            outputs = model(inputs[batch])
            if work.is_quadratic:
                cost = ((outputs - targets[batch]) ** 2).sum() / (2 * len(batch))
            else:
                cost = cross_entropy(outputs, labels[batch])
            optimizer.zero_grad()
            cost.backward()
            optimizer.step()
            costs += cost.detach() * len(batch)
            right += (outputs.detach().argmax(1) == labels[batch]).sum()
        if not turn():
            return


def scikit_learn(work: Work, x: Array, y: Array, turn: Turn) -> None:
    """scikit-learn's MLPClassifier, an epoch by ``partial_fit``."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        work.sizes[1:-1],
        activation={"sigmoid": "logistic"}.get(work.activations[0], work.activations[0]),
        solver=work.optimizer, alpha=0.0,
        batch_size=min(work.batch, work.samples),  # pyright: ignore[reportArgumentType]
        learning_rate_init=RATES[work.optimizer], momentum=0.0, random_state=0,
    )  # fmt: skip
    labels, classes = y.argmax(1), np.arange(y.shape[1])
    model.partial_fit(x, labels, classes=classes)
    while turn():
        for _ in range(work.repeat):
            if work.do == "predict":
                model.predict_proba(x)
            else:
                model.partial_fit(x, labels)


def document(work: Work, x: Array, y: Array, turn: Turn) -> None:
    """The write-ups' own style: column vectors, a sample at a time."""
    from tools.benchmark.sample_loop import SampleLoop

    network = SampleLoop(work.sizes, np.random.default_rng(0))
    pairs = [
        (a[:, None], b[:, None]) for a, b in zip(x.astype(float), y.astype(float), strict=True)
    ]
    rng = np.random.default_rng(0)
    while True:
        order = rng.permutation(len(pairs)).tolist()
        for start in range(0, len(order), work.batch):
            network.step([pairs[i] for i in order[start : start + work.batch]], RATES["sgd"])
        if not turn():
            return


def check(work: Work, x: Array, y: Array, turn: Turn) -> None:
    """``parity.check`` of the work's network, as somebody's own, with a batch of the work's."""
    import parity

    network, loss = own_network(work).clone("float64"), _own_loss(work)
    candidate = parity.Candidate(
        get_weights=lambda: network.weights,
        forward=network.predict,
        gradients=lambda x, y: network.loss_and_gradients(x, y, loss)[1],
        batch_size=work.batch,
    )
    while True:
        assert parity.check(candidate).outcome is parity.Outcome.RIGHT
        if not turn():
            return


def sgemm(work: Work, x: Array, y: Array, turn: Turn) -> None:
    """The floor: the work's matrix products at the speed of a large one, and nothing else.

    What it reports is scaled by ``floor_scale``.
    """
    a = np.ones((FLOOR_SIZE, FLOOR_SIZE), np.float32)
    out = np.empty_like(a)
    while True:
        for _ in range(FLOOR_REPEAT):
            np.matmul(a, a, out=out)
        if not turn():
            return


FLOOR_SIZE, FLOOR_REPEAT = 2048, 3


def floor_scale(work: Work) -> float:
    """Return what turns the time of ``sgemm`` into the time of the work's products."""
    return work.flops / (FLOOR_REPEAT * 2.0 * FLOOR_SIZE**3)


class Contender:
    """Someone to be measured.

    Args:
        name: What the report calls it.
        run: Does the works.
        needs: The module it cannot do without, or None.
        backend: Keras's backend for it, or None.
        can: Whether it does a work at all.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Work, Array, Array, Turn], None],
        needs: str | None = None,
        backend: str | None = None,
        can: Callable[[Work], bool] = lambda work: True,
    ) -> None:
        self.name, self.run, self.needs, self.backend, self.can = name, run, needs, backend, can

    @property
    def is_there(self) -> bool:
        """Whether what it needs is installed."""
        return self.needs is None or find_spec(self.needs) is not None

    def environment(self) -> dict[str, str]:
        """Return the environment of its process."""
        chosen = {"KERAS_BACKEND": self.backend} if self.backend else {}
        return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **chosen}


def _is_network(work: Work) -> bool:
    return work.do != "check"


def _is_dense(work: Work) -> bool:
    return _is_network(work) and work.network != LENET


def _is_dense_training(work: Work) -> bool:
    return _is_dense(work) and work.do == "train"


def _sklearn_can(work: Work) -> bool:
    # It knows no dropout, no RMSprop and, for classes, no quadratic cost.
    known = not work.is_quadratic and not work.dropout and work.optimizer in ("sgd", "adam")
    return known and _is_dense(work)


def _document_can(work: Work) -> bool:
    return work.is_quadratic and _is_dense_training(work)


OURS, FLOOR, DOCUMENT = "NumPy engine", "sgemm floor", "a sample at a time"
TENSORFLOW, JAX = "Keras on TensorFlow", "Keras on JAX"
CHECK, UNCOMPILED = "parity.check", "without Numba"
CONTENDERS = (
    Contender(OURS, compiled_engine, can=_is_network),
    Contender(UNCOMPILED, uncompiled_engine, can=_is_network),
    Contender(TENSORFLOW, keras_script, "tensorflow", "tensorflow", can=_is_network),
    Contender(JAX, keras_script, "jax", "jax", can=_is_network),
    Contender("Keras on PyTorch", keras_script, "torch", "torch", can=_is_network),
    Contender("JAX", jax_alone, "jax", can=_is_dense),
    Contender("PyTorch", pytorch, "torch", can=_is_dense),
    Contender("PyTorch, compiled", compiled_pytorch, "torch", can=_is_dense),
    Contender("scikit-learn", scikit_learn, "sklearn", can=_sklearn_can),
    Contender(DOCUMENT, document, can=_document_can),
    Contender(CHECK, check, can=lambda work: work.do == "check" and not work.dropout),
    Contender(FLOOR, sgemm, can=_is_dense),
)
BY_NAME = {contender.name: contender for contender in CONTENDERS}
