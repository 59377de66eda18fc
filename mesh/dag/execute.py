"""Runs a graph for one input: every step once, all of them at once.

A plan is what :mod:`mesh.dag.build` made of a graph. It is a frozen value of names and numbers that travels by plain
pickle; the user's values in it stay pickled until it first runs.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from operator import itemgetter
from typing import Any, Literal, Protocol, TypeVar


class Response(Protocol):
    """What a call gives at once, as far as running a graph is concerned."""

    def cancel(self) -> object:
        """Nobody waits for the result any more."""


R = TypeVar("R", bound=Response)


class Column(IntEnum):
    """Where a value comes from while a plan runs."""

    CONSTANT = 0
    INPUT = 1
    STEP = 2


@dataclass(frozen=True, slots=True)
class Slot:
    """One value: the ``index``-th constant, part of the input, or response of a step."""

    column: Column
    index: int


@dataclass(frozen=True, slots=True)
class Nested:
    """A list, tuple or dict that is made anew for every input; ``keys`` is the slot of the tuple of a dict's keys."""

    kind: Literal["list", "tuple", "dict"]
    elements: tuple[Template, ...]
    keys: Slot | None = None


Template = Slot | Nested


@dataclass(frozen=True, slots=True)
class Part:
    """One step from the input to a part of it: ``[key]`` or ``.key``."""

    key: int | str
    is_item: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One call."""

    deployment: str
    method: str
    args: tuple[Template, ...]
    kwargs: tuple[tuple[str, Template], ...] = ()


@dataclass(frozen=True)
class Plan:
    """A graph as calls in an order in which each comes after those whose results it takes; the last is the output.

    ``constants`` is the pickled tuple of the values that the user bound, ``inputs`` the parts of the input that are
    used, each as the way that leads to it.
    """

    steps: tuple[Step, ...]
    inputs: tuple[tuple[Part, ...], ...] = ()
    constants: bytes = b""

    @property
    def deployments(self) -> frozenset[str]:
        """The deployments that it calls."""
        return frozenset(step.deployment for step in self.steps)

    @cached_property
    def program(self) -> Program:
        """The plan made ready to run, once in a process; unpickles the user's values and raises what that raises."""
        constants = list(pickle.loads(self.constants)) if self.constants else []
        first = (0, len(constants), len(constants) + len(self.inputs))
        calls = [
            Call(step.deployment, step.method, _positional(step.args, first), _keywords(step.kwargs, first))
            for step in self.steps
        ]
        return Program(constants, [_reader(way) for way in self.inputs], calls)

    def __reduce__(self) -> tuple[type[Plan], tuple[Any, ...]]:
        return type(self), (self.steps, self.inputs, self.constants)


@dataclass(frozen=True, slots=True)
class Call:
    """A step with its templates compiled: each makes arguments from the list of all values."""

    deployment: str
    method: str
    args: Callable[[list[Any]], tuple[Any, ...]]
    kwargs: Callable[[list[Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled plan. The list of all values is: constants, parts of the input, responses of the steps."""

    constants: list[Any]
    readers: list[Callable[[tuple[Any, ...], Mapping[str, Any]], Any]]
    calls: list[Call]


def execute(
    plan: Plan,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    call: Callable[[str, str, tuple[Any, ...], dict[str, Any]], R],
) -> R:
    """Starts every step for one input and returns the response of the last one.

    ``call(deployment, method, args, kwargs)`` starts one and returns its response without waiting; responses are
    passed to later calls as they are, and whoever does the calling waits for them there. So steps that do not depend
    on each other run at the same time. When a call raises, those already started are cancelled.
    """
    program = plan.program
    values = program.constants + [read(args, kwargs) for read in program.readers]
    responses = len(values)
    try:
        for step in program.calls:
            values.append(call(step.deployment, step.method, step.args(values), step.kwargs(values)))
    except BaseException:
        for response in values[responses:]:
            response.cancel()
        raise
    output: R = values[-1]
    return output


def _positional(args: tuple[Template, ...], first: tuple[int, ...]) -> Callable[[list[Any]], tuple[Any, ...]]:
    if not args:
        return lambda values: ()
    indexes = [first[arg.column] + arg.index for arg in args if isinstance(arg, Slot)]
    if len(indexes) < len(args):
        makers = [_maker(arg, first) for arg in args]
        return lambda values: tuple([make(values) for make in makers])
    if len(indexes) == 1:
        [index] = indexes
        return lambda values: (values[index],)
    return itemgetter(*indexes)


def _keywords(
    kwargs: tuple[tuple[str, Template], ...], first: tuple[int, ...]
) -> Callable[[list[Any]], dict[str, Any]]:
    if not kwargs:
        return lambda values: {}
    makers = [(name, _maker(template, first)) for name, template in kwargs]
    return lambda values: {name: make(values) for name, make in makers}


def _maker(template: Template, first: tuple[int, ...]) -> Callable[[list[Any]], Any]:
    if isinstance(template, Slot):
        return itemgetter(first[template.column] + template.index)
    makers = [_maker(element, first) for element in template.elements]
    if template.kind == "list":
        return lambda values: [make(values) for make in makers]
    if template.kind == "tuple":
        return lambda values: tuple([make(values) for make in makers])
    assert template.keys is not None
    keys = itemgetter(first[template.keys.column] + template.keys.index)
    return lambda values: dict(zip(keys(values), [make(values) for make in makers], strict=True))


def _reader(way: tuple[Part, ...]) -> Callable[[tuple[Any, ...], Mapping[str, Any]], Any]:
    """A function that finds a part of the input in the arguments that the graph was called with."""
    written = "".join(f"[{part.key!r}]" if part.is_item else f".{part.key}" for part in way)

    def read(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if len(args) == 1 and not kwargs:
            value, rest = args[0], way
        else:
            value, rest = _argument(way, args, kwargs), way[1:]
        try:
            for part in rest:
                value = value[part.key] if part.is_item else getattr(value, str(part.key))
        except Exception as error:
            error.add_note(f"while the graph read input{written}")
            raise
        return value

    return read


def _argument(way: tuple[Part, ...], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The argument that the first step of the way names, where the graph was not called with exactly one value."""
    given = f"{len(args)} positional and {len(kwargs)} keyword arguments"
    if not way:
        raise TypeError(f"the graph takes one value as its input, not {given}")
    key = way[0].key
    if isinstance(key, int) and -len(args) <= key < len(args):
        return args[key]
    if isinstance(key, str) and key in kwargs:
        return kwargs[key]
    raise TypeError(f"the graph reads input[{key!r}], which is not among the {given} that it was called with")
