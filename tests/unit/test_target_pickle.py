"""What a target may hold, and which part is named when it cannot be sent."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.requests import Request

import mesh
from mesh.errors import PayloadError
from mesh.target_pickle import copy_application, pickle_target


def _sent(target: Any) -> Any:
    return pickle.loads(pickle_target(target))


def test_locks_arrive_free() -> None:
    class Holds:
        lock, again = threading.Lock(), threading.RLock()

    with Holds.lock, Holds.again:
        arrived = _sent(Holds)
    assert arrived.lock.acquire(blocking=False)
    assert arrived.again.acquire(blocking=False)


def test_state_arrives_also_when_it_knows_itself() -> None:
    class Holds:
        state = State()

    Holds.state.number = 4
    Holds.state.me = Holds.state
    arrived = _sent(Holds)
    assert (arrived.state.number, arrived.state.me) == (4, arrived.state)


def test_application_is_sent_with_its_routes() -> None:
    app = Starlette()

    @mesh.ingress(app)
    class Site:
        async def home(self, request: Request) -> None: ...

    app.add_route("/", Site.home)
    (route,) = _sent(Site).__mesh_ingress__.application.routes
    assert route.path == "/"


def test_class_that_cannot_be_sent_says_so() -> None:
    class Holds:
        number = 4

        def method(self) -> object:
            return generator

    generator = (number for number in range(3))
    with pytest.raises(PayloadError, match="Holds cannot be sent to a replica, because it cannot be pickled"):
        pickle_target(Holds)


@pytest.mark.parametrize("where", ["state", "list", "dictionary"])
def test_culprit_in_an_application_is_named(where: str) -> None:
    app, culprit = Starlette(), (number for number in range(3))
    app.state.deep = {"state": culprit, "list": [1, culprit], "dictionary": {"key": culprit}}[where]

    @mesh.ingress(app)
    class Site: ...

    step = {"state": "", "list": "[1]", "dictionary": "['key']"}[where]
    with pytest.raises(PayloadError) as refused:
        pickle_target(Site)
    assert f"app.state.deep{step} of its ingress is a builtins.generator" in str(refused.value)


def test_copy_of_an_application_shares_no_route() -> None:
    app = Starlette()
    app.add_route("/", lambda request: None)  # type: ignore[arg-type, return-value] # nobody calls it
    copy = copy_application(app)
    copy.routes.clear()
    assert [route.path for route in app.routes] == ["/"]  # type: ignore[attr-defined] # added above


def test_application_that_cannot_be_copied_names_the_part_and_the_way_out() -> None:
    app = Starlette()
    app.state.items = (number for number in range(3))
    with pytest.raises(PayloadError, match=r"app\.state\.items is a builtins\.generator.* Make it in the replica"):
        copy_application(app)
