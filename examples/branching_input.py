"""Branching input: the same text goes to three nodes at once, and one node joins what they found.

Run it:    meshctl run examples.branching_input:graph
Ask it:    python -m examples.branching_input_client
"""

from typing import Any

import mesh
from mesh.dag import InputNode
from mesh.drivers import DAGDriver
from mesh.http_adapters import json_request


@mesh.deployment
class Count:
    """Counts one kind of thing in a text."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def in_text(self, text: str) -> int:
        match self.kind:
            case "words":
                return len(text.split())
            case "vowels":
                return sum(letter in "aeiou" for letter in text.lower())
            case _:
                return len(text)


@mesh.deployment
def report(text: str, *, words: int, vowels: int, characters: int) -> dict[str, Any]:
    return {"text": text, "words": words, "vowels": vowels, "characters": characters}


with InputNode() as text:
    counts = {kind: Count.bind(kind).in_text.bind(text) for kind in ("words", "vowels", "characters")}
    graph = DAGDriver.bind(report.bind(text, **counts), http_adapter=json_request)
