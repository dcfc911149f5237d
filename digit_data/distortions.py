"""Distorted copies of MNIST's pictures, so that a network sees other hands than those 250.

Each copy is drawn anew: an elastic distortion, a small affine change, a thicker or thinner stroke
and another contrast. All random numbers come from the caller's generator.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from digit_data.types import Array

__all__ = ["Distortions"]

Generator = np.random.Generator

SIDE = 28
CENTRE = (SIDE - 1) / 2
# Pictures are distorted this many at a time, stacked in one tall picture: OpenCV counts rows in 16
# bits, and a row of empty paper above and below keeps neighbours out of each other.
CHUNK = 1000
SLAB = SIDE + 2


@dataclass(frozen=True)
class Distortions:
    """How much pictures are changed; every amount is drawn anew for each picture.

    Attributes:
        elastic: Simard's alpha, in pixels: a field of noise, uniform in -1..1, is smoothed and
            multiplied by this. Its standard deviation is then ``elastic / (sigma sqrt(12 pi))``.
        sigma: The smoothing Gaussian's standard deviation, in pixels.
        rotation: Greatest angle, in degrees, either way.
        scale: Greatest logarithm of the factor in width and, drawn apart, in height.
        shear: Greatest slant, as the tangent of its angle, either way.
        shift: Greatest shift, in pixels, in each direction.
        thicken: Greatest share of the dilated picture (a cross of 3x3) in a mixture with the
            original.
        thin: The same for the eroded picture.
        contrast: Greatest logarithm of the exponent of the ink, either way.

    Reference:
        P. Simard, D. Steinkraus, J. Platt (2003), "Best practices for convolutional neural networks
        applied to visual document analysis": sigma 4 and alpha 34.
    """

    elastic: float = 34.0
    sigma: float = 4.0
    rotation: float = 15.0
    scale: float = 0.15
    shear: float = 0.15
    shift: float = 1.0
    thicken: float = 0.7
    thin: float = 0.5
    contrast: float = 0.4

    def __call__(self, pictures: Array, rng: Generator, strength: float = 1.0) -> Array:
        """Return a distorted copy of each picture.

        Args:
            pictures: Bright ink on dark paper, (N, 28, 28) or (N, 784), float in 0..1.
            rng: Draws everything.
            strength: Multiplies every amount; 0 changes nothing.

        Returns:
            The same shape and dtype, in 0..1.

        Raises:
            ValueError: Another shape.
        """
        if pictures.shape[1:] not in ((SIDE, SIDE), (SIDE * SIDE,)):
            raise ValueError(
                f"expected pictures of shape (N, 28, 28) or (N, 784). Received: {pictures.shape}"
            )
        distorted = np.empty_like(pictures)
        for start in range(0, len(pictures), CHUNK):
            part = slice(start, start + CHUNK)
            chunk = pictures[part].reshape(-1, SIDE, SIDE).astype(np.float32)
            moved = self._moved(chunk, self._coordinates(len(chunk), rng, strength))
            distorted[part] = self._inked(moved, rng, strength).reshape(distorted[part].shape)
        return distorted

    def _coordinates(self, n: int, rng: Generator, strength: float) -> Array:
        """Return which point of a picture each pixel of its copy shows.

        Returns:
            Rows and columns, (n, 2, 28, 28) float32, in pixels.
        """
        affine = self._affine(n, rng, strength)
        offset = self._elastic(n, rng, strength)
        offset += self._uniform((n, 2, 1, 1), self.shift, rng, strength)
        grid = np.mgrid[:SIDE, :SIDE].astype(np.float32) - np.float32(CENTRE)
        turned = np.einsum("nij,jrc->nirc", affine, grid, optimize=True)
        return turned + offset + np.float32(CENTRE)

    def _moved(self, chunk: Array, where: Array) -> Array:
        """Return each picture as it is at these points, between pixels in straight lines."""
        n = len(chunk)
        slabs = SLAB * np.arange(n, dtype=np.float32) + 1
        rows = np.clip(where[:, 0], -1, SIDE) + slabs[:, None, None]
        moved = cv2.remap(
            _stacked(chunk),
            np.ascontiguousarray(where[:, 1], np.float32).reshape(n * SIDE, SIDE),
            np.ascontiguousarray(rows, np.float32).reshape(n * SIDE, SIDE),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
        )
        return moved.reshape(n, SIDE, SIDE)

    def _affine(self, n: int, rng: Generator, strength: float) -> Array:
        """Return a 2x2 matrix a picture: a rotation, a slant and a scaling, (row, column) order."""
        angle = np.deg2rad(self._uniform((n,), self.rotation, rng, strength))
        slant = self._uniform((n,), self.shear, rng, strength)
        height, width = np.exp(self._uniform((2, n), self.scale, rng, strength))
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.stack([cos, -sin, sin, cos], axis=1).reshape(n, 2, 2)
        rest = np.stack([height, np.zeros(n), slant, width], axis=1).reshape(n, 2, 2)
        return (turn @ rest).astype(np.float32)

    def _elastic(self, n: int, rng: Generator, strength: float) -> Array:
        """Return a smooth field of displacements, (n, 2, 28, 28), in pixels."""
        noise = rng.random((n * 2, SIDE, SIDE), np.float32) * 2 - 1
        # Smoothing rows and columns by a banded matrix is the convolution with zeros outside.
        apart = np.subtract.outer(np.arange(SIDE), np.arange(SIDE))
        kernel = np.exp(-0.5 * (apart / self.sigma) ** 2) / (self.sigma * np.sqrt(2 * np.pi))
        kernel = kernel.astype(np.float32)
        smooth = kernel @ (noise @ kernel)
        return (np.float32(self.elastic * strength) * smooth).reshape(n, 2, SIDE, SIDE)

    def _inked(self, chunk: Array, rng: Generator, strength: float) -> Array:
        """Change stroke width and contrast."""
        tall = _stacked(chunk)
        cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        thick, thin = (
            f(tall, cross).reshape(-1, SLAB, SIDE)[:, 1:-1] for f in (cv2.dilate, cv2.erode)
        )
        t = self._uniform((len(chunk), 1, 1), 1.0, rng, strength)
        share = np.abs(t) * np.where(t > 0, np.float32(self.thicken), np.float32(self.thin))
        inked = chunk + share * (np.where(t > 0, thick, thin) - chunk)
        exponent = np.exp(self._uniform((len(chunk), 1, 1), self.contrast, rng, strength))
        return np.clip(inked, 0, 1) ** exponent

    @staticmethod
    def _uniform(shape: tuple[int, ...], amount: float, rng: Generator, strength: float) -> Array:
        return (rng.random(shape, np.float32) * 2 - 1) * np.float32(amount * strength)


def _stacked(chunk: Array) -> Array:
    """Return pictures below each other, each with a row of paper above and below."""
    tall = np.zeros((len(chunk), SLAB, SIDE), np.float32)
    tall[:, 1:-1] = chunk
    return tall.reshape(-1, SIDE)
