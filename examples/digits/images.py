"""The handwritten digits that ship with scikit-learn: 1,797 images of 8 x 8 pixels, each pixel from 0 to 16."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HELD_OUT = 400
"""The last so many images: no classifier is trained with them."""


@dataclass(frozen=True, slots=True)
class Images:
    """``pixels`` is (count, 64), float; ``labels`` is (count,), the digits that were meant."""

    pixels: NDArray[np.float64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def training_images() -> Images:
    """What the classifiers learn from."""
    return _images(slice(None, -HELD_OUT))


def held_out_images() -> Images:
    """What they are asked about."""
    return _images(slice(-HELD_OUT, None))


def _images(part: slice) -> Images:
    from sklearn.datasets import load_digits  # takes a second, and not every replica needs it

    digits = load_digits()
    return Images(digits.data[part], digits.target[part])
