"""Arithmetic as a graph: (number + 2 - 1 + 3), in three forms.

``request_graph``   the HTTP request itself travels through the graph, and its first node reads it
``graph``           an adapter reads the request, so that the graph gets a number
as a script         the second graph is tested by handle, without HTTP

Run one:   meshctl run examples.arithmetic:graph
Ask it:    python -m examples.arithmetic_client
Test it:   python -m examples.arithmetic
"""

from starlette.requests import Request

import mesh
from mesh.dag import InputNode
from mesh.drivers import DAGDriver
from mesh.http_adapters import json_request


@mesh.deployment
class Add:
    """Adds what it was made with."""

    def __init__(self, increment: float) -> None:
        self.increment = increment

    def add(self, number: float) -> float:
        return number + self.increment


@mesh.deployment
def subtract_one(number: float) -> float:
    return number - 1


@mesh.deployment
async def number_in(request: Request) -> float:
    return float(await request.json())


with InputNode() as http_request:
    add_two, add_three = Add.bind(2), Add.bind(3)
    number = number_in.bind(http_request)
    request_graph = DAGDriver.bind(add_three.add.bind(subtract_one.bind(add_two.add.bind(number))))

with InputNode() as number_node:
    add_two, add_three = Add.bind(2), Add.bind(3)
    total = add_three.add.bind(subtract_one.bind(add_two.add.bind(number_node)))
    graph = DAGDriver.bind(total, http_adapter=json_request)


if __name__ == "__main__":
    mesh.start(http_options=mesh.HTTPOptions(port=0))  # any free port: nothing here speaks HTTP
    handle = mesh.run(graph)
    for number_of_the_test in (0, 5, -1.5):
        answer = handle.predict.remote(number_of_the_test).result(timeout_s=30)
        print(f"{number_of_the_test} + 2 - 1 + 3 = {answer}")
        assert answer == number_of_the_test + 4
