"""Who is measured. A contender does a work over and over, and takes turns with the others.

Each is a function ``(work, x, y, turn)`` that prepares itself, does the work once to warm up, and
then does it again as long as ``turn()`` says so; ``turn`` is called each time the work is done.
All train in float32 and measure loss and accuracy on the way, as Keras's ``fit`` does.
"""

import os
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from numpy_impl import Sequential, compiling, fused, layers, losses, optimizers, training
from tools.benchmark.works import RATES, Array, Work

Turn = Callable[[], bool]
ENDLESS = 10**9


def _schedule(work: Work) -> Callable[[int], list[np.ndarray]]:
    return training.shuffled(work.samples, work.batch, np.random.default_rng(0))


def numpy_engine(work: Work, x: Array, y: Array, turn: Turn) -> None:
    """This project's NumPy engine; in a long training its formulas are compiled at the start."""
    fused.PATIENCE = -1.0
    network = own_network(work)
    if work.predict:
        while True:
            for _ in range(work.repeat):
                network.predict(x)
            if not turn():
                return
    options = {} if work.is_quadratic else {"fused": True}
    loss = losses.get("quadratic" if work.is_quadratic else "categorical_crossentropy", **options)
    optimizer = optimizers.get(work.optimizer, learning_rate=RATES[work.optimizer])

    def on_epoch(epoch: int, logs: dict[str, float]) -> bool:
        if epoch == 0:  # the warm-up
            compiling.wait()
        return not turn()

    training.fit(
        network, loss, optimizer, x, y, epochs=ENDLESS, schedule=_schedule(work), on_epoch=on_epoch
    )


def own_network(work: Work) -> Sequential:
    """Return the work's network in NumPy, with weights drawn from seed 0."""
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
    if work.predict:
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


def pytorch(work: Work, x: Array, y: Array, turn: Turn) -> None:
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
    model = nn.Sequential(*stack)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    if work.predict:
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
            if work.predict:
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


def _sklearn_can(work: Work) -> bool:
    # It knows no dropout, no RMSprop and, for classes, no quadratic cost.
    return not work.is_quadratic and not work.dropout and work.optimizer in ("sgd", "adam")


def _document_can(work: Work) -> bool:
    return work.is_quadratic and not work.predict


OURS, FLOOR, DOCUMENT, JAX = "NumPy engine", "sgemm floor", "a sample at a time", "Keras on JAX"
CONTENDERS = (
    Contender(OURS, numpy_engine),
    Contender("Keras on TensorFlow", keras_script, "tensorflow", "tensorflow"),
    Contender(JAX, keras_script, "jax", "jax"),
    Contender("PyTorch", pytorch, "torch"),
    Contender("scikit-learn", scikit_learn, "sklearn", can=_sklearn_can),
    Contender(DOCUMENT, document, can=_document_can),
    Contender(FLOOR, sgemm),
)
BY_NAME = {contender.name: contender for contender in CONTENDERS}
