"""The reference engine: the documented networks in Keras, and its gradients laid open.

Importing this package imports Keras and its backend (TensorFlow unless ``KERAS_BACKEND`` says
otherwise) without the start-up messages about GPUs that are not there. Other packages take
``keras`` from here, so that this happens first.
"""

from keras_impl._startup import keras  # isort: split

from keras_impl import autodiff, losses, models, training
from keras_impl.precision import precision, set_precision

__all__ = ["autodiff", "keras", "losses", "models", "precision", "set_precision", "training"]
