"""The key concepts in one script: a deployment, its replicas, HTTP, handles, and a graph.

Run it:    python -m examples.key_concepts [PORT]
"""

import os
import sys
from typing import Any
from urllib.request import urlopen

from starlette.requests import Request

import mesh
from mesh.dag import InputNode
from mesh.drivers import DAGDriver


# A deployment is a class or a function that can be served. Each replica of it is a process of its own.
@mesh.deployment(num_replicas=2)
class Thermometer:
    """Reads degrees Celsius in another scale."""

    def __init__(self, scale: str, factor: float, offset: float) -> None:
        self.scale = scale
        self.factor = factor
        self.offset = offset

    # HTTP requests arrive at __call__, as starlette requests.
    def __call__(self, request: Request) -> dict[str, Any]:
        return self.read(float(request.query_params["celsius"]))

    # Handles call any method.
    def read(self, celsius: float) -> dict[str, Any]:
        return {"pid": os.getpid(), self.scale: round(celsius * self.factor + self.offset, 2)}


@mesh.deployment
def kelvin_to_celsius(kelvin: float) -> float:
    return kelvin - 273.15


def main(port: int) -> None:
    mesh.start(http_options=mesh.HTTPOptions(port=port))

    # One class, served twice under two names and two routes.
    fahrenheit = Thermometer.options(name="Fahrenheit").bind("fahrenheit", 1.8, 32)
    reaumur = Thermometer.options(name="Reaumur").bind("reaumur", 0.8, 0)
    handles = {
        "/fahrenheit": mesh.run(fahrenheit, name="fahrenheit", route_prefix="/fahrenheit"),
        "/reaumur": mesh.run(reaumur, name="reaumur", route_prefix="/reaumur"),
    }
    url = mesh.status().url.rstrip("/")
    for route, handle in handles.items():
        for _ in range(2):  # one after the other: the two replicas take turns
            print("by handle:", handle.read.remote(100).result(timeout_s=30))
            print("by HTTP:  ", urlopen(f"{url}{route}?celsius=100").read().decode())

    # A graph: the output of one deployment is the input of the next. Its driver answers for it.
    with InputNode() as kelvin:
        graph = DAGDriver.bind(fahrenheit.read.bind(kelvin_to_celsius.bind(kelvin)))
    driver = mesh.run(graph, name="graph", route_prefix="/graph")
    print("by graph: ", mesh.get(driver.predict.remote(373.15)))


if __name__ == "__main__":
    main(port=int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
