"""Graphs become applications: names, arguments, prefixes, and graphs that are refused."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mesh.config import Application
from mesh.dag import InputNode
from mesh.dag.execute import Column, Plan, Slot, Step
from mesh.errors import PayloadError
from tests.unit.dag.graph_parts import Combine, Constant, Driver, Model, Preprocess, built, init_of, names


def test_one_class_with_its_constructor_arguments() -> None:
    application = built(Model.bind(1, more="x"))
    [spec] = application.spec.deployments
    assert (spec.application, spec.name, spec.import_path, spec.source_sha256) == (
        "shop",
        "Model",
        "module:ModelTarget",
        "hash",
    )
    assert spec.methods == Model.methods
    assert application.spec.driver == "Model"
    assert init_of(application, "Model") == ((1,), {"more": "x"})


def test_a_class_without_arguments_needs_no_blob() -> None:
    application = built(Model.bind())
    assert (application.spec.deployments[0].init_blob, application.blobs) == ("", {})


@pytest.mark.feature("14")
def test_settings_and_version_of_a_deployment_apply_in_a_graph() -> None:
    replicated = Model.options(num_replicas=3, version="2", name="Other")
    application = built(Driver.bind(replicated.bind()))
    assert [(s.name, s.config.num_replicas, s.version) for s in application.spec.deployments] == [
        ("Other", 3, "2"),
        ("Driver", 1, ""),
    ]


def test_a_function_alone_is_its_own_driver() -> None:
    application = built(Preprocess.bind())
    assert (application.spec.driver, names(application)) == ("preprocess", ["preprocess"])


@pytest.mark.feature("66")
@pytest.mark.feature("68")
@pytest.mark.feature("69")
@pytest.mark.parametrize(
    ("root", "expected"),
    [
        pytest.param(
            lambda: Driver.bind(Model.bind(1), Model.bind(2), Model.bind(3)),
            ["Model", "Model_1", "Model_2", "Driver"],
            id="one class several times is numbered",
        ),
        pytest.param(
            lambda: Driver.bind(Model.bind(1), Model.options(name="Other").bind(2)),
            ["Model", "Other", "Driver"],
            id="a name from the options is kept",
        ),
        pytest.param(
            lambda: Driver.bind(Model.bind(1), Model.bind(2), Model.options(name="Model_1").bind(3)),
            ["Model", "Model_2", "Model_1", "Driver"],
            id="a number does not take a name from the options",
        ),
        pytest.param(
            lambda: Driver.bind(Combine.bind(Combine.bind(InputNode()), 1)),
            ["combine", "combine_1", "Driver"],
            id="every function node is a deployment of its own",
        ),
        pytest.param(
            lambda: (lambda shared: Driver.bind(shared, [shared, {"k": shared}]))(Model.bind()),
            ["Model", "Driver"],
            id="a shared node is one deployment",
        ),
        pytest.param(
            lambda: (lambda model, x: Driver.bind(Combine.bind(model.predict.bind(x), model.forward.bind(x))))(
                Model.bind(), InputNode()
            ),
            ["Model", "combine", "Driver"],
            id="two methods of one node are one deployment",
        ),
    ],
)
def test_names(root: Any, expected: list[str]) -> None:
    assert names(built(root())) == expected


@pytest.mark.feature("69")
def test_nodes_in_constructor_arguments_become_handles_at_any_depth() -> None:
    first, second = Model.bind(1), Model.bind(2)
    application = built(Driver.bind(first, [first, (second,)], named={"k": second}))
    a, b = ("handle", "shop", "Model"), ("handle", "shop", "Model_1")
    assert init_of(application, "Driver") == ((a, [a, (b,)]), {"named": {"k": b}})


def test_handles_name_the_application() -> None:
    assert init_of(built(Driver.bind(Model.bind()), name="bank"), "Driver") == ((("handle", "bank", "Model"),), {})


def test_the_output_of_a_graph_becomes_its_plan() -> None:
    with InputNode() as x:
        output = Combine.bind(Model.bind(1).predict.bind(x), x["k"], 7, more=x)
    [plan], _ = init_of(built(Driver.bind(output)), "Driver")
    assert isinstance(plan, Plan)
    whole, part = Slot(Column.INPUT, 0), Slot(Column.INPUT, 1)
    assert plan.steps == (
        Step("Model", "predict", (whole,)),
        Step("combine", "__call__", (Slot(Column.STEP, 0), part, Slot(Column.CONSTANT, 0)), (("more", whole),)),
    )
    assert plan.deployments == {"Model", "combine"}


def test_a_function_that_was_bound_to_nothing_is_a_handle_in_a_constructor() -> None:
    assert init_of(built(Driver.bind(Preprocess.bind())), "Driver") == ((("handle", "shop", "preprocess"),), {})


def test_a_function_without_parameters_is_a_graph_in_a_constructor() -> None:
    [plan], _ = init_of(built(Driver.bind(Constant.bind())), "Driver")
    assert plan == Plan((Step("constant", "__call__", ()),))


def test_a_graph_inside_a_graph_is_a_plan_of_its_own_and_may_have_its_own_input() -> None:
    with InputNode() as x, InputNode() as y:
        inner = Driver.options(name="Inner").bind(Preprocess.bind(x))
        outer = Combine.bind(inner.__call__.bind(y))
    application = built(Driver.bind(outer))
    assert names(application) == ["preprocess", "Inner", "combine", "Driver"]
    plans = [init_of(application, name)[0][0] for name in ("Inner", "Driver")]
    assert [[step.deployment for step in plan.steps] for plan in plans] == [["preprocess"], ["Inner", "combine"]]


@pytest.mark.feature("70")
def test_a_second_input_is_refused() -> None:
    with InputNode() as x, InputNode() as y:
        output = Combine.bind(Preprocess.bind(x), y[0])
    with pytest.raises(ValueError, match=r"has 2 InputNodes and can have one.*x\[0\]"):
        built(Driver.bind(output))


@pytest.mark.parametrize(
    ("own", "asked", "expected"),
    [
        pytest.param({}, "/", "/", id="the root is at /"),
        pytest.param({}, "/shop", "/shop", id="unless run says another place"),
        pytest.param({}, None, None, id="or none"),
        pytest.param({"route_prefix": "/own"}, "/", "/own", id="the root's own prefix counts"),
        pytest.param({"route_prefix": None}, "/", None, id="the root's wish for none counts"),
        pytest.param({"route_prefix": "/own"}, "/shop", "/shop", id="but run has the last word"),
    ],
)
def test_the_route_prefix_of_the_root(own: Any, asked: str | None, expected: str | None) -> None:
    assert built(Model.options(**own).bind(), route_prefix=asked).spec.route_prefix == expected


@pytest.mark.feature("61")
def test_a_prefix_below_the_root_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ClassNode\(Model\) has the route prefix '/x', but only ClassNode\(Driver\)"):
        built(Driver.bind(Model.options(route_prefix="/x").bind()))


def test_no_prefix_below_the_root_may_be_said() -> None:
    assert built(Driver.bind(Model.options(route_prefix=None).bind())).spec.route_prefix == "/"


@pytest.mark.feature("62")
@pytest.mark.parametrize(
    "root",
    [
        pytest.param(lambda: Preprocess.bind(InputNode()), id="a function of the input"),
        pytest.param(lambda: Preprocess.bind(5), id="a function of a value"),
        pytest.param(lambda: Model.bind().predict.bind(InputNode()), id="a method"),
    ],
)
def test_the_output_of_a_graph_needs_a_driver(root: Any) -> None:
    with pytest.raises(ValueError, match=r"write DAGDriver\.bind"):
        built(root())


@pytest.mark.feature("62")
@pytest.mark.parametrize(
    ("root", "hint"),
    [
        pytest.param(Model, r"call its bind\(...\) first", id="a deployment"),
        pytest.param(Model.bind().predict, r"call its bind\(...\) first", id="a method"),
        pytest.param(InputNode(), "not InputNode", id="the input"),
        pytest.param(dict, "not <class 'dict'>", id="a class"),
        pytest.param(None, "not None", id="nothing"),
    ],
)
def test_what_is_no_node(root: Any, hint: str) -> None:
    with pytest.raises(TypeError, match=f"a node is needed.*{hint}"):
        built(root)


@pytest.mark.parametrize(
    ("root", "named"),
    [
        pytest.param(lambda lock: Model.bind(lock), "the constructor of Model", id="of a constructor"),
        pytest.param(lambda lock: Driver.bind(Combine.bind(lock)), r"FunctionNode\(combine\)", id="in a graph"),
    ],
)
def test_an_argument_that_does_not_pickle_is_named(root: Any, named: str) -> None:
    with pytest.raises(PayloadError, match=rf"argument.* {named} cannot be sent to a replica: .*lock"):
        built(root(threading.Lock()))


def test_the_same_graph_gives_the_same_application() -> None:
    def graph() -> Application:
        with InputNode() as x:
            return built(Driver.bind(Combine.bind(Model.bind([1, "a"]).predict.bind(x), lambda: 5, k=x[0])))

    assert graph() == graph()


def test_equal_blobs_are_stored_once() -> None:
    assert len(built(Driver.bind(Model.bind(1), Model.bind(1))).blobs) == 2
