"""Values as JSON: what the scientific and the everyday libraries give."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy
import pandas
import pydantic
import pytest

from mesh.errors import PayloadError
from mesh.json_encoding import encode_json
from mesh.payload import AttachableItems


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    label: Colour


class Model(pydantic.BaseModel):
    when: date
    points: list[int]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"a": [1, 2.5, None, True, "ä"]}, {"a": [1, 2.5, None, True, "ä"]}, id="what json knows"),
        pytest.param(numpy.arange(4).reshape(2, 2), [[0, 1], [2, 3]], id="a numpy array"),
        pytest.param(numpy.float32(1.5), 1.5, id="a numpy number"),
        pytest.param(numpy.bool_(True), True, id="a numpy bool"),
        pytest.param(
            {numpy.int64(3): 1, Colour.RED: 2, date(2020, 1, 2): 3}, {"3": 1, "red": 2, "2020-01-02": 3}, id="keys"
        ),
        pytest.param(numpy.datetime64("2020-01-02"), "2020-01-02", id="a numpy date"),
        pytest.param(
            pandas.DataFrame({"x": [1, 2], "y": ["a", "b"]}),
            [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}],
            id="a pandas frame",
        ),
        pytest.param(pandas.Series([1, 2]), [1, 2], id="a pandas series"),
        pytest.param(pandas.Timestamp("2020-01-02"), "2020-01-02T00:00:00", id="a pandas time"),
        pytest.param(Point(1, Colour.RED), {"x": 1, "label": "red"}, id="a dataclass and an enum"),
        pytest.param(Model(when=date(2020, 1, 2), points=[1]), {"when": "2020-01-02", "points": [1]}, id="pydantic"),
        pytest.param([{7}, frozenset({8}), {"k": 1}.keys()], [[7], [8], ["k"]], id="sets and views"),
        pytest.param(MappingProxyType({"a": 1}), {"a": 1}, id="a mapping"),
        pytest.param(datetime(2020, 1, 2, tzinfo=UTC), "2020-01-02T00:00:00+00:00", id="a time"),
        pytest.param(timedelta(minutes=1), 60.0, id="a time span"),
        pytest.param([Decimal("1.10"), UUID(int=1), Path("/a")], ["1.10", str(UUID(int=1)), "/a"], id="as text"),
        pytest.param(b"text", "text", id="bytes that are text"),
        pytest.param([float("nan"), {"x": float("-inf")}], [None, {"x": None}], id="what JSON has no number for"),
        pytest.param(numpy.array([1.0, numpy.nan]), [1.0, None], id="nan in an array"),
        pytest.param({numpy.int64(1): {numpy.nan}}, {"1": [None]}, id="nan and keys at once"),
    ],
)
def test_a_value_becomes_json(value: Any, expected: object) -> None:
    assert json.loads(encode_json(value), parse_constant=pytest.fail) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(object(), "object has no form in JSON", id="an object"),
        pytest.param({"f": print}, "builtin_function_or_method has no form", id="a function inside"),
        pytest.param(b"\xff", "utf-8", id="bytes that are no text"),
        pytest.param({(1, 2): 3}, "tuple cannot be a key", id="a tuple as a key"),
        pytest.param(1j, "complex has no form", id="a complex number"),
        pytest.param(map(str, [1]), "map has no form", id="an iterator, which could be read only once"),
    ],
)
def test_what_is_no_json_is_refused(value: object, message: str) -> None:
    with pytest.raises(PayloadError, match=message):
        encode_json(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(PayloadError, match="recursion"):
        encode_json(endless)


class _Items(AttachableItems):
    """A stream."""

    def done(self) -> bool:
        return False


@pytest.mark.feature("57")
def test_stream_is_refused_where_a_value_has_to_be() -> None:
    with pytest.raises(PayloadError, match="a stream cannot be a part of a result"):
        encode_json({"items": _Items()})
