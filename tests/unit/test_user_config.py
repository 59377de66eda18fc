"""What a user_config may be, and how it is told from another."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mesh.errors import ConfigError
from mesh.user_config import decode_user_config, encode_user_config, user_config_key

RING: list[Any] = []
RING.append(RING)


@pytest.mark.parametrize("value", [{}, [], 0, False, "", 1.5, {"a": [1, {"b": None}]}])
def test_what_is_json_comes_back_and_is_not_none(value: object) -> None:
    text = encode_user_config(value)
    assert (bool(text), decode_user_config(text)) == (True, value)


def test_none_is_no_user_config() -> None:
    assert (encode_user_config(None), decode_user_config(""), user_config_key("")) == ("", None, "")


def test_the_order_of_keys_makes_no_difference() -> None:
    assert encode_user_config({"a": 1, "b": 2}) == encode_user_config({"b": 2, "a": 1})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param({"a": [1, {2}]}, r"user_config\['a'\]\[1\] is of type set", id="a set, somewhere inside"),
        pytest.param({1: 2}, r"user_config has the key 1", id="a key that is a number"),
        pytest.param({"rate": math.nan}, r"user_config\['rate'\] is nan", id="not a number"),
        pytest.param(RING, r"user_config\[0\] contains itself", id="a list in itself"),
        pytest.param(object(), r"user_config is of type object", id="any object"),
    ],
)
def test_what_is_no_json_is_named_by_its_place(value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        encode_user_config(value)
