"""``meshctl config``: what is deployed, as a config file; or what a config file may have in it."""

from __future__ import annotations

from typing import Annotated

import typer

from mesh.cli.mesh_option import MeshOption, choose


def config(
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of config files, for editors.", show_default=False)
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, which is YAML too.", show_default=False)] = False,
    mesh: MeshOption = None,
) -> None:
    """Print the config file that would deploy what is deployed now.

    Example: meshctl config > shop.yaml
    """
    choose(mesh)
    if schema:
        from mesh.config_files.schema import json_schema

        print(json_schema(), end="")
        return
    from mesh import meshes
    from mesh.config_files.writing import to_json, to_yaml

    used = meshes.to_ask()
    applications = used.ask(used.connection.client.applications())
    print((to_json if as_json else to_yaml)(applications), end="")
