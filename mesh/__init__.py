"""mesh: a gRPC-first serving mesh for Python."""
