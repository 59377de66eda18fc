"""A linear chain that is built in a loop: each step of the cleaning gets what the step before it made.

Run it:    meshctl run examples.linear_chain:graph
Ask it:    python -m examples.linear_chain_client
"""

import re
from typing import Any

import mesh
from mesh.dag import InputNode
from mesh.drivers import DAGDriver
from mesh.http_adapters import json_request


@mesh.deployment
def without_markup(text: str) -> str:
    return re.sub(r"<[^>]*>", " ", text)


@mesh.deployment
def lower_case(text: str) -> str:
    return text.lower()


@mesh.deployment
def single_spaces(text: str) -> str:
    return " ".join(text.split())


with InputNode() as text:
    cleaned: Any = text
    for step in (without_markup, lower_case, single_spaces):
        cleaned = step.bind(cleaned)
    graph = DAGDriver.bind(cleaned, http_adapter=json_request)
