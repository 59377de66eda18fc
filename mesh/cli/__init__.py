"""meshctl: the mesh from the command line, a file per command. What a command does is done by ``mesh.api``."""
