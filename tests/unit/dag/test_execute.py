"""Plans run: what each call gets, in which order, and how the input is read."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from mesh.dag import InputNode
from mesh.dag.execute import Plan, execute
from tests.unit.dag.graph_parts import Combine, Constant, Driver, Model, Preprocess, built, init_of, plan_of


@dataclass(eq=False)
class Response:
    """What a call gave: its name instead of a result."""

    name: str
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True

    def __repr__(self) -> str:
        return self.name


@dataclass
class Calls:
    """Records each call; response i is named "#i". ``fails_at`` names the deployment whose call raises."""

    fails_at: str = ""
    made: list[tuple[str, str, str, str]] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)

    def __call__(self, deployment: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Response:
        if deployment == self.fails_at:
            raise LookupError(deployment)
        self.made.append((deployment, method, repr(args), repr(kwargs)))
        self.responses.append(Response(f"#{len(self.responses)}"))
        return self.responses[-1]


def run(output: Any, *args: Any, **kwargs: Any) -> list[tuple[str, str, str, str]]:
    calls = Calls()
    assert execute(plan_of(output), args, kwargs, calls) is calls.responses[-1]
    return calls.made


@pytest.mark.feature("76")
def test_every_step_starts_at_once_with_the_responses_of_those_before() -> None:
    with InputNode() as x:
        output = Combine.bind(Model.bind().predict.bind(Preprocess.bind(x)), Model.bind().forward.bind(x))
    assert run(output, 5) == [
        ("preprocess", "__call__", "(5,)", "{}"),
        ("Model", "predict", "(#0,)", "{}"),
        ("Model_1", "forward", "(5,)", "{}"),
        ("combine", "__call__", "(#1, #2)", "{}"),
    ]


@pytest.mark.feature("75")
def test_a_shared_step_runs_once() -> None:
    with InputNode() as x:
        shared = Preprocess.bind(x)
        output = Combine.bind(shared, shared, again=[shared])
    assert [call[0] for call in run(output, 1)] == ["preprocess", "combine"]


@pytest.mark.feature("75")
def test_only_the_bound_method_is_called() -> None:
    model = Model.bind()
    with InputNode() as x:
        assert run(model.forward.bind(model.predict.bind(x)), 1) == [
            ("Model", "predict", "(1,)", "{}"),
            ("Model", "forward", "(#0,)", "{}"),
        ]


@pytest.mark.feature("72")
def test_constants_responses_and_input_nested_and_by_keyword() -> None:
    with InputNode() as x:
        first = Preprocess.bind(x)
        output = Combine.bind([first, 1, ({"k": x, 2: [first]},)], (1, 2), more=(first,), plain=[3])
    assert run(output, "in")[1] == (
        "combine",
        "__call__",
        "([#0, 1, ({'k': 'in', 2: [#0]},)], (1, 2))",
        "{'more': (#0,), 'plain': [3]}",
    )


def test_a_class_node_as_an_argument_of_a_step_is_its_handle() -> None:
    with InputNode() as x:
        assert run(Combine.bind(x, Model.bind()), 1)[0][2] == "(1, ('handle', 'shop', 'Model'))"


def test_a_graph_without_input_takes_any() -> None:
    assert run(Combine.bind(Constant.bind()), 1, 2, k=3)[1] == ("combine", "__call__", "(#0,)", "{}")


def test_a_long_chain() -> None:
    node: Any = InputNode()
    for _ in range(2_000):
        node = Preprocess.bind(node)
    assert run(node, 1)[-1][2] == "(#1998,)"


VALUE = {"a": [SimpleNamespace(b="deep")], 0: "zero"}


@pytest.mark.feature("71")
@pytest.mark.parametrize(
    ("part", "args", "kwargs", "expected"),
    [
        pytest.param(lambda x: x, (5,), {}, 5, id="one value is the input"),
        pytest.param(lambda x: x, (None,), {}, None, id="None is a value"),
        pytest.param(lambda x: x[0], ([7, 8],), {}, 7, id="an item of one value"),
        pytest.param(lambda x: x[-1], ([7, 8],), {}, 8, id="the last item of one value"),
        pytest.param(lambda x: x[0], (VALUE,), {}, "zero", id="a dict's key that is a number"),
        pytest.param(lambda x: x["a"][0].b, (VALUE,), {}, "deep", id="a part of a part"),
        pytest.param(lambda x: x.b, (SimpleNamespace(b=1),), {}, 1, id="an attribute of one value"),
        pytest.param(lambda x: x[1], (7, 8), {}, 8, id="the second argument"),
        pytest.param(lambda x: x[0], (7,), {"k": 8}, 7, id="the first argument beside a keyword"),
        pytest.param(lambda x: x["k"], (7,), {"k": 8}, 8, id="a keyword argument as an item"),
        pytest.param(lambda x: x.k, (), {"k": 8}, 8, id="a keyword argument as an attribute"),
        pytest.param(lambda x: x[1]["a"][0].b, (7, VALUE), {}, "deep", id="a part of an argument"),
    ],
)
def test_how_the_input_is_read(part: Any, args: Any, kwargs: Any, expected: object) -> None:
    assert run(Preprocess.bind(part(InputNode())), *args, **kwargs)[0][2] == repr((expected,))


@pytest.mark.parametrize(
    ("part", "args", "kwargs", "message"),
    [
        pytest.param(lambda x: x, (), {}, "takes one value.*not 0 positional", id="no input"),
        pytest.param(lambda x: x, (1, 2), {}, "takes one value.*not 2 positional", id="several where one is taken"),
        pytest.param(lambda x: x[2], (1, 2), {}, r"reads input\[2\]", id="an argument that was not given"),
        pytest.param(lambda x: x.k, (1, 2), {"j": 1}, r"reads input\['k'\]", id="a keyword that was not given"),
    ],
)
def test_an_input_that_does_not_fit(part: Any, args: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        run(Preprocess.bind(part(InputNode())), *args, **kwargs)


@pytest.mark.feature("71")
@pytest.mark.parametrize(
    ("part", "value", "error", "way"),
    [
        (lambda x: x["k"]["j"], {"k": {}}, KeyError, "input['k']['j']"),
        (lambda x: x[3], [], IndexError, "input[3]"),
        (lambda x: x.user.name, SimpleNamespace(user=1), AttributeError, "input.user.name"),
    ],
)
def test_a_missing_part_says_what_was_read(part: Any, value: object, error: type[Exception], way: str) -> None:
    with pytest.raises(error) as missing:
        run(Preprocess.bind(part(InputNode())), value)
    assert missing.value.__notes__ == [f"while the graph read {way}"]


def test_the_input_is_read_before_anything_starts() -> None:
    calls = Calls()
    with InputNode() as x:
        plan = plan_of(Combine.bind(Preprocess.bind(x[0]), x[1]))
    with pytest.raises(IndexError):
        execute(plan, ([1],), {}, calls)
    assert calls.made == []


def test_a_call_that_raises_cancels_those_before_it() -> None:
    calls = Calls(fails_at="combine")
    with InputNode() as x:
        plan = plan_of(Combine.bind(Preprocess.bind(x), Model.bind().predict.bind(x)))
    with pytest.raises(LookupError):
        execute(plan, (1,), {}, calls)
    assert [response.cancelled for response in calls.responses] == [True, True]


class Loaded:
    """Counts how often one of it was unpickled."""

    times = 0

    def __setstate__(self, state: object) -> None:
        type(self).times += 1

    def __getstate__(self) -> object:
        return {"state": 1}


def test_a_plan_travels_by_pickle_and_unpickles_the_users_values_when_it_first_runs() -> None:
    Loaded.times = 0
    with InputNode() as x:
        plan = plan_of(Combine.bind(x, Loaded()))
    plan.program  # noqa: B018 (the compiled plan must not keep it from travelling)
    before = Loaded.times
    arrived: Plan = pickle.loads(pickle.dumps(plan))
    assert (arrived, Loaded.times) == (plan, before)
    for _ in range(3):
        execute(arrived, (1,), {}, Calls())
    assert Loaded.times == before + 1


def test_two_graphs_of_one_driver_are_two_plans() -> None:
    with InputNode() as x:
        shared = Preprocess.bind(x)
        args, _ = init_of(built(Driver.bind(shared, Combine.bind(shared))), "Driver")
    assert [len(plan.steps) for plan in args] == [1, 2]
