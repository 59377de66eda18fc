"""Nodes of graphs: each says what came to it, some count how often, some wait for each other."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import mesh


@mesh.deployment
class Adder:
    """Adds what it was made with."""

    def __init__(self, summand: int) -> None:
        self._summand = summand
        self._calls = 0

    async def add(self, number: int, also: int = 0) -> int:
        """The sum."""
        self._calls += 1
        return number + self._summand + also

    def add_on_turn(self, number: int) -> int:
        """The same in a plain method."""
        self._calls += 1
        return number + self._summand

    async def calls(self) -> int:
        """How often it has added."""
        return self._calls

    async def __call__(self, number: int) -> int:
        """What a driver of the class node calls."""
        return number * 100


@mesh.deployment
async def combine(*numbers: int) -> list[int]:
    """Its arguments."""
    return list(numbers)


@mesh.deployment
def total(numbers: list[Any]) -> tuple[list[str], int]:
    """The types of a list's items, and the sum of their values."""
    return [type(number).__name__ for number in numbers], sum(mesh.get(numbers))


@mesh.deployment
async def describe(*args: Any, **kwargs: Any) -> list[Any]:
    """What it was called with."""
    return [list(args), kwargs]


@mesh.deployment
class Meeting:
    """Ends its calls only when two of them are there."""

    def __init__(self) -> None:
        self._barrier = asyncio.Barrier(2)

    async def meet(self, _: Any) -> str:
        """Wait for the other one."""
        await self._barrier.wait()
        return "met"


@mesh.deployment
class Driver:
    """A driver of the user's own."""

    def __init__(self, graph: Any, others: dict[str, Any]) -> None:
        self._graph = graph
        self._others = others

    async def __call__(self, request: Any) -> Any:
        return await self._graph(int(request.query_params["number"]))

    async def all(self, number: int) -> Any:
        """The graph and what is nested."""
        return [await self._graph(number), await self._others["adder"].add(number), os.getpid()]


class Point:
    """An input with attributes."""

    def __init__(self, x: Any) -> None:
        self.x = x
