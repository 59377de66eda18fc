"""How a replica is started, as the engine wants to be told."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mesh.config import DeploymentSpec
from mesh.controller.state import Replica
from mesh.controller.views import replica_address, replica_socket_path
from mesh.v1 import deployment_pb2, engine_pb2

ROLE = "sidecar.__main__:main"


def launch_request(
    replica: Replica, spec: DeploymentSpec, run_directory: str, blob_directory: str
) -> engine_pb2.Launch:
    """What the engine is asked for."""
    argument = deployment_pb2.ReplicaLaunch(
        replica_id=replica.replica_id,
        spec=spec.to_proto(),
        blob_directory=blob_directory,
        address=replica_address(run_directory, replica.replica_id),
        socket_path=replica_socket_path(run_directory, replica.replica_id),
        rank=replica.rank,
    )
    return engine_pb2.Launch(
        process_id=replica.replica_id,
        role=ROLE,
        argument=argument.SerializeToString(),
        title=f"mesh: replica {replica.replica_id}",
        output_prefix=f"({replica.replica_id})",
        executable=spec.runtime.executable,
        environment={"CUDA_VISIBLE_DEVICES": ",".join(replica.gpus)} if replica.gpus else {},
    )


def remove_sockets(run_directory: str, replica_id: str) -> None:
    """Removes what a replica that was killed could not remove itself."""
    address, socket_path = replica_address(run_directory, replica_id), replica_socket_path(run_directory, replica_id)
    for path in (address.removeprefix("unix:"), socket_path):
        with suppress(FileNotFoundError):
            Path(path).unlink()
