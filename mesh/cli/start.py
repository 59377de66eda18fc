"""``meshctl start``: a mesh that runs on its own."""

from __future__ import annotations

from typing import Annotated

import typer


def start(
    name: Annotated[str, typer.Option(help="Name of the mesh, by which others find it.")] = "default",
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "localhost",
    port: Annotated[int, typer.Option(min=0, max=65535, help="HTTP port; 0 takes any free one.")] = 8000,
    bridges: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer HTTP at that port.")] = 1,
    grpc_host: Annotated[str, typer.Option(help="Address that the gRPC door listens at.")] = "127.0.0.1",
    grpc_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, show_default="9000; with --port 0 any free one", help="gRPC port; 0 takes any free one."
        ),
    ] = None,
    grpc: Annotated[bool, typer.Option(" /--no-grpc", help="Open no gRPC door.", show_default=False)] = True,
) -> None:
    """Start a mesh that stays until `meshctl shutdown`, with nothing deployed but what the last one of its name kept.

    Example: meshctl start --port 8080, then meshctl deploy shop:node
    """
    import mesh

    if grpc_port is None:
        grpc_port = 9000 if port else 0
    mesh.start(
        detached=True,
        name=name,
        http_options=mesh.HTTPOptions(host=host, port=port, bridges=bridges),
        grpc_options=mesh.GRPCOptions(host=grpc_host, port=grpc_port if grpc else None),
    )
    status = mesh.status()
    print(f"mesh {status.name} is running at {status.url} (engine pid {status.engine_pid})")
    if status.grpc_address:
        print(f"gRPC clients: mesh.v1.PredictService at {status.grpc_address}")
    for application in status.applications:
        print(f"taken up again: {application.name}")
    print("meshctl deploy module:node deploys to it, meshctl shutdown ends it.")
