"""Drawing: what a node depends on, as text in the language of graphviz, and as a picture where graphviz is there.

Run it:    python -m examples.drawing [PICTURE]
The same:  meshctl graph examples.drawing:whole --output graph.svg
"""

import sys
from typing import Any

import mesh
from mesh.dag import InputNode, plot, to_dot


@mesh.deployment
class Scale:
    """Multiplies by what it was made with."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def times(self, number: float) -> float:
        return number * self.factor


@mesh.deployment
def add(left: float, right: float, offset: float = 0) -> float:
    return left + right + offset


with InputNode() as numbers:
    left = Scale.bind(2).times.bind(numbers[0])
    right = Scale.bind(0.5).times.bind(numbers[1])
    whole = add.bind(left, right, offset=numbers[2])


def main(*pictures: Any) -> None:
    print("What the left branch depends on:")
    print(to_dot(left).to_string())
    print("The whole graph:")
    print(to_dot(whole).to_string())
    for picture in pictures:
        plot(whole, to_file=picture)
        print(f"wrote {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:])
