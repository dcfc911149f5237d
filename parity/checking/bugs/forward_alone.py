"""What shows where a forward pass of any layers is compared with a Keras model."""

from parity.checking.bugs.table import Bug, Severity

NO_INPUTS = Bug(
    "no-inputs",
    "it is not known what the reference takes",
    "reference = MyModel()  # subclassed, and not yet called",
    "give inputs of your kind: data=(x, None), or data=lambda rng: (x, None)",
    Severity.BLOCKING,
    "It cannot be checked: {title}.",
)
WEIGHTS_NOT_MATCHED = Bug(
    "weights-not-matched",
    "the weights are not those of the reference",
    "get_weights=lambda: [Wx, Wh]  # where the layer has a bias too",
    "return an array for each of the reference's variables, also a normalization's moving ones; or "
    "leave get_weights out, if forward holds the reference's weights itself",
    Severity.BLOCKING,
    "It cannot be checked: {title}.",
)
LAYER_NOT_FOUND = Bug(
    "layer-not-found",
    "layer_map names what is not there",
    'layer_map={"h1": "dense_7"}  # the model has dense and dense_1',
    "give the names that model.summary() shows, and the keys of what forward returns",
    Severity.BLOCKING,
    "It cannot be checked: {title}.",
)
NOT_IN_FLOAT64 = Bug(
    "reference-not-run",
    "the reference does not run in float64",
    "reference = model_with_a_layer_that_casts_to_float32",
    "compare layer by layer, or with Keras on TensorFlow",
    Severity.BLOCKING,
    "It cannot be checked: {title}.",
)
OTHER_LAYER = Bug(
    "unknown-forward",
    "unknown: the layer computes another function than the reference's",
    "def pool(x): return np.median(x, axis=1)  # where the reference takes the mean",
    "compare this layer, line by line, with what Keras's documentation says of it",
)
IN_LOW_PRECISION = Bug(
    "low-precision",
    "low precision: {what} {kind}",
    "x.astype(np.float16) @ W.astype(np.float16)",
    "compute in float32 or float64 throughout, and what is smaller than that rounding is checked "
    "too",
    Severity.UNCERTAIN,
    "Equal to the reference as far as can be told: {title}.",
)
