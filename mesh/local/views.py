"""What routers and people see of an application in a local mesh. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from mesh.application_status import ApplicationStatus, DeploymentStatus, Phase, ReplicaStatus
from mesh.config import ApplicationSpec, DeploymentSpec
from mesh.v1 import endpoint_pb2
from sidecar.replica import Replica


def endpoint_set(spec: DeploymentSpec, replicas: Sequence[Replica], version: int) -> endpoint_pb2.EndpointSet:
    """All replicas of a deployment; they have no address."""
    return endpoint_pb2.EndpointSet(
        application=spec.application,
        deployment=spec.name,
        version=version,
        endpoints=[endpoint_pb2.Endpoint(replica_id=replica.replica_id) for replica in replicas],
        config=spec.config.to_proto(),
        methods=[method.to_proto() for method in spec.methods],
    )


def application_status(spec: ApplicationSpec, replicas: Mapping[str, Sequence[Replica]]) -> ApplicationStatus:
    """An application that runs."""
    return ApplicationStatus(
        name=spec.name,
        phase=Phase.RUNNING,
        message="",
        route_prefix=spec.route_prefix,
        driver=spec.driver,
        deployments=tuple(_deployment_status(deployment, replicas[deployment.name]) for deployment in spec.deployments),
    )


def _deployment_status(spec: DeploymentSpec, replicas: Sequence[Replica]) -> DeploymentStatus:
    return DeploymentStatus(
        name=spec.name,
        phase=Phase.RUNNING,
        message="",
        failed_starts=0,
        restarts=0,
        num_replicas=spec.config.num_replicas,
        replicas=tuple(
            ReplicaStatus(
                replica.replica_id,
                "RUNNING",
                os.getpid(),
                0.0,
                replica.surroundings.replica.rank,
                replica.condition.refusal or replica.condition.check_failure,
            )
            for replica in replicas
        ),
    )
