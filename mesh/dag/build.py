"""A graph of nodes becomes an application: one deployment for each class or function node, with a name of its own.

What touches the user's code or the mesh comes in as arguments: pickling, import paths, handles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mesh.autoscaling import PICKLED_POLICY
from mesh.config import Application, ApplicationSpec, DeploymentConfig, DeploymentSpec, RoutePrefix, Runtime, blob_name
from mesh.dag.execute import Column, Nested, Part, Plan, Slot, Step, Template
from mesh.dag.nodes import (
    ClassNode,
    DeploymentNode,
    FunctionNode,
    InputAttributeNode,
    InputNode,
    MethodNode,
    Node,
    children_of,
    nodes_in,
)
from mesh.dag.traversal import dependencies_first, replace_nodes
from mesh.errors import ConfigError, PayloadError

if TYPE_CHECKING:
    from mesh.target import EncodedTarget


def build(
    root: DeploymentNode,
    *,
    name: str,
    route_prefix: str | None,
    runtime: Runtime,
    dump: Callable[[object], bytes],
    encode_target: Callable[[Callable[..., Any]], EncodedTarget],
    make_handle: Callable[[str, str], object],
    make_graph: Callable[[Plan], object],
) -> Application:
    """The application ``name`` that has ``root`` as its driver.

    ``dump`` pickles. ``make_handle(application, deployment)`` gives what a class node becomes where it is an argument,
    ``make_graph(plan)`` what a graph becomes where its output is the argument of a constructor. A route prefix that
    was set on the root's deployment counts when ``route_prefix`` is "/", which is what nobody asked for.
    """
    _check_root(root)
    nodes = dependencies_first(root, children_of)
    bound = [node for node in nodes if isinstance(node, ClassNode | FunctionNode)]
    builder = _Builder(name, runtime, _unique_names(bound), dump, encode_target, make_handle, make_graph)
    own_prefix = _only_the_root_has_a_prefix(root, bound)
    if route_prefix == "/" and not isinstance(own_prefix, RoutePrefix):
        route_prefix = own_prefix
    spec = ApplicationSpec(
        name=name,
        driver=builder.names[root],
        deployments=tuple([builder.spec(node) for node in bound]),
        route_prefix=route_prefix,
    )
    return Application(spec, builder.blobs)


@dataclass(frozen=True, slots=True)
class _Builder:
    """What all deployments of one application are made with; ``blobs`` collects what they name."""

    application: str
    runtime: Runtime
    names: dict[Node, str]
    dump: Callable[[object], bytes]
    encode_target: Callable[[Callable[..., Any]], EncodedTarget]
    make_handle: Callable[[str, str], object]
    make_graph: Callable[[Plan], object]
    blobs: dict[str, bytes] = field(default_factory=dict)

    def spec(self, node: ClassNode | FunctionNode) -> DeploymentSpec:
        deployment, name = node._deployment, self.names[node]
        target = self.encode_target(deployment.target)
        return DeploymentSpec(
            application=self.application,
            name=name,
            runtime=self.runtime,
            version=deployment.version or "",
            import_path=target.import_path,
            source_sha256=target.source_sha256,
            target_blob=self.store(target.blob) if target.blob else "",
            init_blob=self.init_blob(node, name) if isinstance(node, ClassNode) else "",
            methods=deployment.methods,
            config=self.config(deployment.config),
        )

    def config(self, config: DeploymentConfig) -> DeploymentConfig:
        """The settings with the policy, if it is a function, as a replica will find it."""
        scaling = config.autoscaling_config
        if scaling is None or isinstance(scaling.policy, str):
            return config
        policy = self.encode_target(scaling.policy)
        name = policy.import_path or f"{PICKLED_POLICY}{self.store(policy.blob)}"
        return replace(config, autoscaling_config=replace(scaling, policy=name))

    def init_blob(self, node: ClassNode, name: str) -> str:
        if not node._args and not node._kwargs:
            return ""
        arguments = replace_nodes((node._args, dict(node._kwargs)), self.constructor_argument)
        return self.store(self.pickled(arguments, f"the arguments of the constructor of {name}"))

    def constructor_argument(self, node: Node) -> object:
        """What the constructor gets in the place of a node: a handle, or a graph that can be called."""
        if isinstance(node, ClassNode) or (isinstance(node, FunctionNode) and _stands_for_its_deployment(node)):
            return self.make_handle(self.application, self.names[node])
        return self.make_graph(self.plan(node))

    def plan(self, output: Node) -> Plan:
        """The graph that leads to ``output``; class nodes are its ends."""
        nodes = dependencies_first(output, _children_in_a_plan)
        inputs = [node for node in nodes if isinstance(node, InputNode)]
        if len(inputs) > 1:
            raise ConfigError(
                f"the graph of {output!r} has {len(inputs)} InputNodes and can have one: use the same for all of its "
                'nodes, and parts of it such as x[0] or x["key"] for several inputs'
            )
        draft = _PlanDraft(self)
        for node in nodes:
            if isinstance(node, FunctionNode | MethodNode):
                draft.add_step(node)
        constants = self.pickled(tuple(draft.constants), f"an argument in the graph of {output!r}")
        return Plan(tuple(draft.steps), tuple(draft.inputs), constants if draft.constants else b"")

    def pickled(self, value: object, what: str) -> bytes:
        try:
            return self.dump(value)
        except Exception as error:
            raise PayloadError(f"{what} cannot be sent to a replica: {error}") from error

    def store(self, content: bytes) -> str:
        self.blobs[blob_name(content)] = content
        return blob_name(content)


@dataclass(frozen=True, slots=True)
class _PlanDraft:
    """A plan that grows by a step for each node; ``slots`` knows where the response of a node is."""

    builder: _Builder
    constants: list[Any] = field(default_factory=list)
    inputs: dict[tuple[Part, ...], Slot] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    slots: dict[Node, Slot] = field(default_factory=dict)

    def add_step(self, node: FunctionNode | MethodNode) -> None:
        called = node._node if isinstance(node, MethodNode) else node
        args = tuple([self.template(value) for value in node._args])
        kwargs = tuple([(name, self.template(value)) for name, value in node._kwargs.items()])
        method = node._method if isinstance(node, MethodNode) else "__call__"
        self.slots[node] = Slot(Column.STEP, len(self.steps))
        self.steps.append(Step(self.builder.names[called], method, args, kwargs))

    def template(self, value: Any) -> Template:
        if isinstance(value, Node):
            return self.slot(value)
        if next(nodes_in(value), None) is None:
            return self.constant(value)
        if isinstance(value, dict):
            elements = tuple([self.template(element) for element in value.values()])
            return Nested("dict", elements, keys=self.constant(tuple(value)))
        return Nested("list" if isinstance(value, list) else "tuple", tuple([self.template(item) for item in value]))

    def slot(self, node: Node) -> Slot:
        if isinstance(node, InputNode | InputAttributeNode):
            return self.inputs.setdefault(_way_to(node), Slot(Column.INPUT, len(self.inputs)))
        if isinstance(node, ClassNode):
            return self.constant(self.builder.constructor_argument(node))
        return self.slots[node]

    def constant(self, value: Any) -> Slot:
        self.constants.append(value)
        return Slot(Column.CONSTANT, len(self.constants) - 1)


def _check_root(root: object) -> None:
    if isinstance(root, ClassNode):
        return
    if isinstance(root, FunctionNode) and not root._args and not root._kwargs:
        return
    if isinstance(root, FunctionNode | MethodNode):
        raise ConfigError(
            f"{root!r} is the output of a graph, which a driver has to run: write DAGDriver.bind(...) of it"
        )
    hint = "; call its bind(...) first" if callable(getattr(root, "bind", None)) else ""
    raise TypeError(f"a node is needed, what bind gives, not {root!r}{hint}")


def _unique_names(nodes: list[ClassNode | FunctionNode]) -> dict[Node, str]:
    """The first node that wants a name gets it, the next ones the first free of name_1, name_2 and so on."""
    wanted = {node._deployment.name for node in nodes}
    given: dict[str, int] = {}
    names: dict[Node, str] = {}
    for node in nodes:
        name = node._deployment.name
        if name not in given:
            given[name] = 0
            names[node] = name
            continue
        names[node] = next(free for free in _numbered(name, given) if free not in wanted)
    return names


def _numbered(name: str, given: dict[str, int]) -> Iterator[str]:
    while True:
        given[name] += 1
        yield f"{name}_{given[name]}"


def _only_the_root_has_a_prefix(root: Node, nodes: list[ClassNode | FunctionNode]) -> str | RoutePrefix | None:
    own_prefix: str | RoutePrefix | None = RoutePrefix.UNSET
    for node in nodes:
        prefix = node._deployment.own_route_prefix
        if node is root:
            own_prefix = prefix
        elif isinstance(prefix, str):
            raise ConfigError(
                f"{node!r} has the route prefix {prefix!r}, but only {root!r}, the root, is reachable by HTTP"
            )
    return own_prefix


def _stands_for_its_deployment(node: FunctionNode) -> bool:
    """A function that takes something and was bound to nothing is meant to be called, as a class node is."""
    return not node._args and not node._kwargs and not node._deployment.methods[0].without_parameters


def _children_in_a_plan(node: Node) -> Iterator[Node]:
    return iter(()) if isinstance(node, ClassNode) else children_of(node)


def _way_to(node: InputNode | InputAttributeNode) -> tuple[Part, ...]:
    way: list[Part] = []
    source: Any = node
    while isinstance(source, InputAttributeNode):
        way.append(Part(source._key, source._is_item))
        source = source._source
    return tuple(reversed(way))
