"""What the tests of the tools share with those of the commands."""

from tests.scripts.conftest import tiny_mnist

__all__ = ["tiny_mnist"]
