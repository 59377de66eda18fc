"""The soaks of deaths, for seconds instead of minutes: `make soak` has the full ones."""

from __future__ import annotations

import pytest

from tests.e2e.commands import run_python


@pytest.mark.parametrize(
    ("soak", "seconds", "asked"),
    [
        ("deaths", 4, ("repeated, by HTTP: calls failed", "not repeated: of one replica, at most")),
        ("controller", 6, ("by HTTP: calls failed", "phase of the application that was deployed")),
        ("mixed", 5, ("streams: calls failed", "controller: memory has grown by", "replica of Back: tasks")),
    ],
)
def test_soak_reaches_what_is_asked_of_it(soak: str, seconds: int, asked: tuple[str, ...]) -> None:
    ended = run_python("-m", "tests.soak", soak, "--seconds", str(seconds))
    assert ended.code == 0, ended.stdout + ended.stderr
    for what in asked:
        assert f"  {what}" in ended.stdout


def test_soak_that_does_not_exist_is_refused_with_those_that_do() -> None:
    ended = run_python("-m", "tests.soak", "death")
    assert ended.code == 2
    assert "there is no soak death; there are" in ended.stderr
    assert "deaths" in ended.stderr
