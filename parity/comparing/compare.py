"""Compare a Keras model and a NumPy network: forward, loss, gradients, steps, whole trainings.

A training is compared step by step. After k steps Keras has the state K_k (weights and optimizer
slots). One step of the NumPy engine *from K_k* is S(K_k), and a correct pair satisfies
``|K_{k+1} - S(K_k)| <= bound`` with the rounding bound of that one step. If this holds for every
step, then Keras's whole training is a NumPy training perturbed by rounding only, and the distance
between the two trainings left to themselves, which is reported too, is how much the training itself
amplifies rounding. See ``docs/tolerances.md``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_impl import keras
from numpy_impl import losses, optimizers
from numpy_impl.functional import AnyNetwork
from numpy_impl.types import Array
from parity.comparing import layer_by_layer
from parity.comparing.low_precision import MatmulPrecision
from parity.comparing.pair import Losses, Pair
from parity.comparing.result import Comparison
from parity.comparing.trajectory import Batch, train


def compare(
    keras_model: keras.Model,
    numpy_network: AnyNetwork,
    x: Any,
    y: Any,
    *,
    loss: Losses | None = None,
    loss_weights: Sequence[float] | None = None,
    numpy_loss: losses.Loss | None = None,
    optimizer: keras.optimizers.Optimizer | None = None,
    numpy_optimizer: optimizers.Optimizer | None = None,
    steps: int = 1,
    batch_size: int | None = None,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    masks: Sequence[Array] | None = None,
    seed: int = 0,
    matmul_precision: MatmulPrecision | None = None,
) -> Comparison:
    """Compare forward pass, loss, gradients and, with an optimizer, ``steps`` training steps.

    Both networks and the Keras optimizer are left as they were, but for the states of stateful
    layers, which are reset.

    Args:
        keras_model: A Sequential or Functional model of supported layers, in the precision that
            Keras is set to. Of one with layers in float16, bfloat16, or a mixed policy of these,
            forward pass, loss and gradients are compared, but no steps.
        numpy_network: Its twin, with the same weights (:func:`parity.copy_weights`).
        x: Inputs, shape (N, *input_shape); a list of arrays of several inputs.
        y: Targets, as the loss wants them; a list of them for several outputs.
        loss: A Keras loss, or its name as in ``keras_impl.losses.get``; None: the one that the
            model was compiled with. Of several outputs a list.
        loss_weights: The weight of each output's loss in their sum; None: all are 1.
        numpy_loss: What the NumPy side minimises; None: the twin of ``loss``.
        optimizer: A Keras optimizer; None compares no steps. Its settings are used from a fresh
            state.
        numpy_optimizer: The NumPy side's; None: the twin of ``optimizer``.
        steps: How many steps to take, on consecutive batches of ``x``, over and over.
        batch_size: Samples a batch of the steps; None: all of ``x``.
        sample_weight: How much each sample counts in the loss, as in Keras's ``fit``: shape (N,),
            or of sequences (N, time); of several outputs a list.
        class_weight: How much samples of each class count, by its number, in place of that.
        masks: One boolean mask for each dropout layer, of N rows; None: drawn from ``seed``.
        seed: For the dropout masks that are not given.
        matmul_precision: "tensorfloat32" where Keras's products of float32 take their factors as
            TensorFloat-32, as TensorFlow and JAX do on a card; None: they are float32's.

    Returns:
        The rows and the verdict; it does not raise if the two differ, see ``raise_for_failure``.

    Raises:
        ValueError: Inputs that do not fit, precisions that differ, or unsupported parts.
    """
    pair = Pair(
        keras_model, numpy_network, loss, numpy_loss, optimizer, numpy_optimizer, loss_weights,
        matmul_precision,
    )  # fmt: skip
    x, y = pair.check(x, y)
    weights = pair.sample_weights(y, sample_weight, class_weight)
    n, rng = len(x[0]), np.random.default_rng(seed)
    masks = masks if masks is not None else numpy_network.draw_masks(n, rng)
    result = Comparison(f"{keras_model.name}, {pair.precision}, {n} samples")
    result.rows += pair.compare_weights()
    if pair.low.format is None:
        result.rows += pair.compare_outputs(x)
        result.rows += pair.compare_gradients(x, y, masks, weights)
    else:
        result.rows += layer_by_layer.compare_outputs(pair, x)
        result.rows += layer_by_layer.compare_gradients(pair, x, y, masks, weights)
    if optimizer is not None:
        before = numpy_network.get_weights(), keras_model.get_weights()
        size = batch_size or n
        order = (np.arange(steps * size) % n).reshape(steps, size)
        drawn = [masks if size == n and k == 0 else None for k in range(steps)]
        batches = (
            _batch(x, y, b, numpy_network.draw_masks(size, rng) if m is None else m, weights)
            for b, m in zip(order, drawn, strict=True)
        )
        trained = train(pair, batches)
        result.rows += trained.rows
        result.remarks += trained.remarks
        numpy_network.set_weights(before[0])
        keras_model.set_weights(before[1])
    pair.reset_state()
    return result


def compare_training(
    keras_model: keras.Model,
    numpy_network: AnyNetwork,
    x: Any,
    y: Any,
    *,
    loss: Losses | None = None,
    loss_weights: Sequence[float] | None = None,
    optimizer: keras.optimizers.Optimizer,
    batches: Iterable[Array],
    check_every: int = 1,
    measure_every: int | None = None,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    seed: int = 0,
    on_step: Callable[[int], None] | None = None,
) -> Comparison:
    """Train both networks on the same batches, and compare every step and the end.

    Unlike :func:`compare` this leaves both networks trained.

    Args:
        batches: Index arrays into ``x`` and ``y``, in the order of training.
        check_every: Check each step whose number is a multiple of this; the others run unchecked.
        measure_every: Measure the distance of the two trainings after each multiple of so many
            steps, into ``Comparison.distances``.
        sample_weight: As in :func:`compare`.
        class_weight: Likewise.
        seed: For the dropout masks, which are the same on both sides.
        on_step: Called with the number of steps done.

    Returns:
        Section "steps": for each weight and optimizer slot the worst of all checked single steps
        against its bound. Section "training": the distance of the two trained networks.
    """
    pair = Pair(keras_model, numpy_network, loss, None, optimizer, None, loss_weights)
    x, y = pair.check(x, y)
    weights = pair.sample_weights(y, sample_weight, class_weight)
    rng = np.random.default_rng(seed)
    result = Comparison(
        f"{keras_model.name}, {pair.network.dtype}, training", pair.compare_weights()
    )
    drawn = (_batch(x, y, b, numpy_network.draw_masks(len(b), rng), weights) for b in batches)
    trained = train(pair, drawn, check_every, measure_every, on_step)
    result.rows += trained.rows
    result.remarks += trained.remarks
    result.distances = trained.distances
    return result


def _batch(
    x: list[Array],
    y: list[Array],
    batch: Array,
    masks: Sequence[Array],
    sample_weight: list[Array] | None,
) -> Batch:
    """Return the samples of a batch: inputs, targets, dropout masks and weights."""
    counts = None if sample_weight is None else [array[batch] for array in sample_weight]
    return [array[batch] for array in x], [array[batch] for array in y], masks, counts
