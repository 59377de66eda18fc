"""Graphs of deployments: the nodes that ``bind`` makes, and how to draw them."""

from mesh.dag.dot import plot, to_dot
from mesh.dag.nodes import ClassNode, DeploymentNode, FunctionNode, InputNode, MethodNode

__all__ = ["ClassNode", "DeploymentNode", "FunctionNode", "InputNode", "MethodNode", "plot", "to_dot"]
