"""Clients of a mesh in other languages, each in its own folder; ``served`` is what they call."""
