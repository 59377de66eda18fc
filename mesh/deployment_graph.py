"""``InputNode`` under its second documented name."""

from mesh.dag.nodes import InputNode

__all__ = ["InputNode"]
