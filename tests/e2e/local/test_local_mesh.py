"""What is particular about a mesh inside one process: where it runs, how it begins and ends, what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest

import mesh
from tests.e2e.commands import ROOT, run_to_end, wait_until
from tests.services.features import ConfiguredOnLoop, Placed


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After each test there is no local mesh, and no thread of one."""
    monkeypatch.delenv("MESH_LOCAL", raising=False)
    before = set(threading.enumerate())
    yield
    mesh.shutdown()
    wait_until(lambda: set(threading.enumerate()) <= before)


@mesh.deployment
class Broken:
    """Does not come up."""

    def __init__(self) -> None:
        raise LookupError("the weights are missing")


@mesh.deployment
class Keeps:
    """Gives back what it is called with."""

    def keep(self, value: Any) -> Any:
        """The value, which was pickled and unpickled on its way."""
        return value

    async def wait(self) -> None:
        """For ever."""
        await threading.Event().wait()  # type: ignore[func-returns-value]


def test_it_runs_in_this_process_and_says_so() -> None:
    handle = mesh.run(Placed.bind(), name="here", local=True)
    assert handle.place.remote().result(timeout_s=30)[1] == os.getpid()
    status = mesh.status()
    (application,) = status.applications
    replicas = application.deployments[0].replicas
    assert (status.engine_pid, status.url, application.name) == (os.getpid(), "", "here")
    assert [(replica.pid, replica.rank, replica.state) for replica in replicas] == [
        (os.getpid(), rank, "RUNNING") for rank in (0, 1)
    ]


def test_arguments_and_results_are_copies_and_what_does_not_pickle_fails() -> None:
    handle = mesh.run(Keeps.bind(), local=True)
    value = [1, [2]]
    kept = handle.keep.remote(value).result(timeout_s=30)
    assert (kept, kept is value, kept[1] is value[1]) == (value, False, False)
    with pytest.raises(mesh.PayloadError, match="argument 1: cannot pickle"):
        handle.keep.remote(threading.Lock())


def test_a_constructor_that_raises_is_told_with_its_traceback_and_what_ran_before_goes_on() -> None:
    handle = mesh.run(Keeps.bind(), local=True)
    with pytest.raises(mesh.DeployFailed, match="LookupError: the weights are missing"):
        mesh.run(Broken.bind(), local=True)
    assert handle.keep.remote(1).result(timeout_s=30) == 1
    assert [application.name for application in mesh.status().applications] == ["default"]


def test_a_new_application_that_does_not_come_up_leaves_nothing() -> None:
    with pytest.raises(mesh.DeployFailed):
        mesh.run(Broken.bind(), local=True)
    assert mesh.status().applications == ()


def test_who_waits_for_one_that_does_not_come_up_is_ended_with_it() -> None:
    with pytest.raises(mesh.DeployFailed, match="the weights are missing"):
        mesh.run(_Waits.bind(Broken.bind()), local=True)
    assert mesh.status().applications == ()


@mesh.deployment
class _Waits:
    """Calls another in its constructor."""

    def __init__(self, broken: mesh.DeploymentHandle) -> None:
        broken.remote().result(timeout_s=60)


def test_running_again_replaces_and_deleting_takes_away() -> None:
    first = mesh.run(Keeps.bind(), local=True)
    second = mesh.run(Placed.bind(), local=True)
    with pytest.raises(mesh.DeploymentNotFound):
        first.keep.remote(1).result(timeout_s=30)
    assert second.place.remote().result(timeout_s=30)[1] == os.getpid()
    mesh.delete("default")
    with pytest.raises(mesh.DeploymentNotFound):
        second.place.remote().result(timeout_s=30)
    with pytest.raises(mesh.DeploymentNotFound, match="there is no application 'default'; there are: none"):
        mesh.delete("default")


def test_a_new_user_config_is_taken_without_a_new_object_and_a_refusal_is_told() -> None:
    for user_config in ({"a": 1}, {"a": 2}):
        handle = mesh.run(ConfiguredOnLoop.options(user_config=user_config).bind(), local=True)
    with pytest.raises(mesh.DeployFailed, match="keeps the user_config that it had"):
        mesh.run(ConfiguredOnLoop.options(user_config={"refuse": True}).bind(), local=True)
    assert handle.seen.remote().result(timeout_s=30)[1] == [{"a": 1}, {"a": 2}]


def test_http_is_answered_when_it_is_asked_for() -> None:
    mesh.run(_hello.bind(), local=True, http_options=mesh.HTTPOptions(port=0))
    assert urlopen(f"{mesh.status().url}?name=Ada", timeout=30).read() == b"Hello, Ada!"
    with pytest.raises(mesh.ConfigError, match="answers HTTP at"):
        mesh.start(http_options=mesh.HTTPOptions(port=1), local=True)
    with pytest.raises(mesh.ConfigError, match="a local mesh is one process: it has one bridge, not 2"):
        mesh.start(http_options=mesh.HTTPOptions(port=0, bridges=2), local=True)


@mesh.deployment
def _hello(request: Any) -> str:
    return f"Hello, {request.query_params['name']}!"


def test_what_only_processes_have_is_refused_with_the_way_out() -> None:
    with pytest.raises(mesh.ConfigError, match=r"cannot be detached: start a mesh of processes, with local=False"):
        mesh.start(detached=True, local=True)
    with pytest.raises(mesh.ConfigError, match=r"no gRPC door: call the handle .* with local=False"):
        mesh.run(Keeps.bind(), local=True, grpc_options=mesh.GRPCOptions(port=0))
    with pytest.raises(mesh.MeshUnavailable):
        mesh.status()


def test_a_deployment_is_found_by_name_deployed_again_and_deleted() -> None:
    mesh.start(local=True)
    original = Built.options(num_replicas=2)
    original.deploy(1)
    found = mesh.get_deployment("Built")
    assert found == original
    assert mesh.list_deployments() == {"Built": found}
    before = _replica_ids()
    found.deploy()
    assert not before & _replica_ids()
    assert found.get_handle().argument.remote().result(timeout_s=30) == 1
    found.options(num_replicas=1).deploy(2)
    assert found.get_handle().argument.remote().result(timeout_s=30) == 2
    assert len(_replica_ids()) == 1
    found.options(name="twin").deploy()
    assert mesh.get_deployment("twin").get_handle().argument.remote().result(timeout_s=30) == 1
    assert (found.url, found.route_prefix) == (None, "/Built")
    found.delete()
    assert list(mesh.list_deployments()) == ["twin"]
    with pytest.raises(KeyError, match="there is no deployment 'Built'; there are: twin"):
        mesh.get_deployment("Built")


@mesh.deployment
class Built:
    """Tells what it was built with."""

    def __init__(self, argument: int) -> None:
        self._argument = argument

    def argument(self) -> int:
        """What the constructor got."""
        return self._argument


def _replica_ids() -> set[str]:
    every = [one for application in mesh.status().applications for one in application.deployments]
    return {replica.replica_id for one in every for replica in one.replicas}


def test_two_applications_cannot_have_one_route() -> None:
    mesh.run(Keeps.bind(), local=True)
    with pytest.raises(mesh.ConfigError, match="application 'default' has it"):
        mesh.run(Keeps.bind(), name="other", local=True)


def test_after_the_end_handles_say_so() -> None:
    handle = mesh.run(Keeps.bind(), local=True)
    mesh.shutdown()
    with pytest.raises(mesh.MeshUnavailable):
        handle.keep.remote(1).result(timeout_s=30)


def test_a_script_with_a_local_mesh_ends() -> None:
    code = (
        "import mesh\n@mesh.deployment\ndef twice(x):\n    return 2 * x\n"
        "print(mesh.run(twice.bind()).remote(4).result(timeout_s=30))"
    )
    ended = run_to_end(sys.executable, "-c", code, env={"MESH_LOCAL": "1"})
    assert (ended.code, ended.stdout, ended.stderr) == (0, "8\n", "")


def test_it_needs_no_module_that_other_systems_lack() -> None:
    code = """
import sys
for name in ("fcntl", "grp", "pwd", "resource", "setproctitle", "syslog", "termios", "uvloop"):
    sys.modules[name] = None
import mesh
from mesh.dag import InputNode
from mesh.drivers import DAGDriver

@mesh.deployment
class Add:
    def __init__(self, increment):
        self.increment = increment
    @mesh.batch(max_batch_size=2)
    def add(self, numbers):
        return [number + self.increment for number in numbers]

with InputNode() as number:
    graph = DAGDriver.bind(Add.bind(1).add.bind(number))
print(mesh.run(graph, local=True).predict.remote(1).result(timeout_s=30))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "2\n", "")
