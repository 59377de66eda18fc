"""Two classifiers of different kinds look at the same image, and a vote decides.

    image -> preprocess -> Boundaries -> \\
                        -> Neighbours -> vote -> {"digit": 7, "confidence": 0.93, "agree": true}

scikit-learn is imported where it is used: every replica imports this module, and only two kinds of them need it.

Run it:    meshctl run examples.digits.graph:graph
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import mesh
from examples.digits.images import training_images
from mesh.dag import InputNode
from mesh.drivers import DAGDriver
from mesh.http_adapters import json_request

Probabilities = NDArray[np.float64]
"""For each digit from 0 to 9 how probable it is."""


@mesh.deployment
def preprocess(pixels: list[float]) -> NDArray[np.float64]:
    """64 numbers from 0 to 16 become one row of a matrix, from 0 to 1."""
    row = np.asarray(pixels, dtype=np.float64)
    if row.shape != (64,):
        raise ValueError(f"an image is a list of 64 numbers, row by row; this one has the shape {row.shape}")
    return row.reshape(1, 64) / 16


@mesh.deployment(num_replicas=2)
class Boundaries:
    """A support vector machine: has learned where one digit ends and the next begins."""

    def __init__(self) -> None:
        from sklearn.svm import SVC

        images = training_images()
        self._machine = SVC(gamma=0.25, C=10).fit(images.pixels / 16, images.labels)

    def probabilities(self, image: NDArray[np.float64]) -> Probabilities:
        distances = self._machine.decision_function(image)[0]
        weights = np.exp(distances - distances.max())
        return np.asarray(weights / weights.sum())


@mesh.deployment
class Neighbours:
    """Remembers every image that it has seen, and asks the five most similar ones."""

    def __init__(self, count: int = 5) -> None:
        from sklearn.neighbors import KNeighborsClassifier

        images = training_images()
        self._memory = KNeighborsClassifier(count, weights="distance", algorithm="kd_tree").fit(
            images.pixels / 16, images.labels
        )

    def probabilities(self, image: NDArray[np.float64]) -> Probabilities:
        return np.asarray(self._memory.predict_proba(image)[0])


@mesh.deployment
def vote(left: Probabilities, right: Probabilities) -> dict[str, Any]:
    """The digit that both together find most probable."""
    together = (left + right) / 2
    return {
        "digit": int(together.argmax()),
        "confidence": round(float(together.max()), 4),
        "agree": bool(left.argmax() == right.argmax()),
    }


with InputNode() as pixels:
    image = preprocess.bind(pixels)
    answer = vote.bind(Boundaries.bind().probabilities.bind(image), Neighbours.bind().probabilities.bind(image))
    graph = DAGDriver.bind(answer, http_adapter=json_request)
