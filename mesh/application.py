"""From a bound node to the application that the controller is given: specs, and pickles of what is in them."""

from __future__ import annotations

import os
import sys

import cloudpickle

from mesh.config import Application, Runtime
from mesh.dag.build import build
from mesh.dag.execute import Plan
from mesh.dag.nodes import DeploymentNode
from mesh.graph_handle import GraphHandle
from mesh.handle import DeploymentHandle
from mesh.target import encode_target


def application_of(node: DeploymentNode, name: str, route_prefix: str | None) -> Application:
    """The application ``name`` of a node and all that it depends on, at ``route_prefix`` in HTTP, or nowhere.

    Raises :class:`mesh.errors.ConfigError`, :class:`mesh.errors.PayloadError` and TypeError for what cannot be run.
    """
    return build(
        node,
        name=name,
        route_prefix=route_prefix,
        runtime=Runtime(sys.executable, tuple(sys.path), os.getcwd()),
        dump=cloudpickle.dumps,
        encode_target=encode_target,
        make_handle=_handle_inside,
        make_graph=lambda plan: _graph_inside(name, plan),
    )


def _handle_inside(application: str, deployment: str) -> DeploymentHandle:
    """A handle that calls on the mesh of whatever process it arrives in, so that its pickle is always the same."""
    return DeploymentHandle(application, deployment, run_directory="")


def _graph_inside(application: str, plan: Plan) -> GraphHandle:
    return GraphHandle(plan, {name: _handle_inside(application, name) for name in plan.deployments})
