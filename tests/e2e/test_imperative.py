"""``deploy()`` and what belongs to it: one deployment at a time, found again by its name from any process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

import mesh
from mesh.errors import ConfigError, DeployFailed, DeployInProgress, DeploymentNotFound
from tests.e2e.commands import run_python, wait_until
from tests.e2e.running_mesh import Run, RunningMesh
from tests.services.imperative import Stubborn, Teller, echo

pytestmark = pytest.mark.usefixtures("own_mesh")


@pytest.fixture(autouse=True)
def nothing_deployed(own_mesh: RunningMesh) -> Iterator[None]:
    """Each test leaves the mesh of the module empty."""
    yield
    for application in mesh.status().applications:
        mesh.delete(application.name)


def _ask(handle: mesh.DeploymentHandle, calls: int = 4) -> list[list[Any]]:
    return [handle.remote(number).result(timeout_s=30) for number in range(calls)]


def _pids(handle: mesh.DeploymentHandle) -> set[int]:
    return {pid for _, pid, _ in _ask(handle)}


@pytest.mark.feature("22")
def test_deploy_returns_when_all_replicas_serve() -> None:
    assert Teller.options(num_replicas=2).deploy("/model") is None
    (application,) = mesh.status().applications
    assert (application.name, application.phase.name, application.route_prefix) == ("Teller", "RUNNING", "/Teller")
    assert [replica.state for replica in application.deployments[0].replicas] == ["RUNNING"] * 2
    assert {path for path, _, _ in _ask(Teller.get_handle())} == {"/model"}


@pytest.mark.feature("22")
def test_deployed_again_without_a_version_all_replicas_are_new() -> None:
    Teller.deploy("/model")
    handle = Teller.get_handle()
    before = _pids(handle)
    Teller.deploy("/model")
    assert not before & _pids(handle)


@pytest.mark.feature("22")
def test_the_same_version_and_code_apply_the_settings_alone() -> None:
    first = Teller.options(version="1")
    first.deploy("/model")
    handle = first.get_handle()
    before = _pids(handle)
    first.options(num_replicas=2, max_ongoing_requests=7).deploy("/model")
    after = _pids(handle)
    assert before < after
    assert len(after) == 2
    first.options(version="2").deploy("/model")
    assert not after & _pids(handle)


@pytest.mark.feature("22")
def test_a_constructor_that_raises_is_shown_and_nothing_is_left() -> None:
    with pytest.raises(DeployFailed, match=r"Teller.__init__\(\) takes from 1 to 2 positional arguments but 3"):
        Teller.deploy("/model", "too many")
    assert mesh.list_deployments() == {}


@pytest.mark.feature("22")
def test_an_update_that_fails_takes_nothing_away() -> None:
    Teller.deploy("/model")
    before = _pids(Teller.get_handle())
    with pytest.raises(DeployFailed):
        Teller.deploy("/model", "too many")
    assert _pids(Teller.get_handle()) == before


@pytest.mark.feature("23")
def test_one_class_is_served_twice() -> None:
    one, two = Teller.options(name="one"), Teller.options(name="two")
    one.deploy("/model/1")
    two.deploy("/model/2")
    paths = [{path for path, _, _ in _ask(deployment.get_handle())} for deployment in (one, two)]
    assert paths == [{"/model/1"}, {"/model/2"}]
    one.delete()
    assert list(mesh.list_deployments()) == ["two"]
    assert _ask(two.get_handle(), 1)[0][0] == "/model/2"


@pytest.mark.feature("24")
def test_list_deployments_shows_them_as_documented(run: Run) -> None:
    assert mesh.list_deployments() == {}
    Teller.options(name="rep-1", num_replicas=2).deploy("/model/1")
    Teller.options(name="rep-2", version="v3", route_prefix="/two").deploy("/model/2")
    assert str(mesh.list_deployments()) == (
        "{'rep-1': Deployment(name=rep-1,version=None,route_prefix=/rep-1), "
        "'rep-2': Deployment(name=rep-2,version=v3,route_prefix=/two)}"
    )
    run(Teller.options(name="rep-1").bind(), name="other")
    assert set(mesh.list_deployments()) == {"rep-1/rep-1", "other/rep-1", "rep-2"}


@pytest.mark.feature("25")
def test_get_deployment_equals_the_original_and_deploys_again_with_the_same_arguments() -> None:
    original = Teller.options(name="shop", num_replicas=2, max_ongoing_requests=5)
    original.deploy("/model")
    found = mesh.get_deployment("shop")
    assert found == original
    assert found != original.options(num_replicas=1)
    before = _pids(found.get_handle())
    found.deploy()
    assert [path for path, _, _ in _ask(found.get_handle())] == ["/model"] * 4
    assert not before & _pids(found.get_handle())
    found.options(num_replicas=1).deploy("/other")
    assert [path for path, _, _ in _ask(found.get_handle())] == ["/other"] * 4
    found.options(name="twin").deploy()
    assert _ask(mesh.get_deployment("twin").get_handle(), 1)[0][0] == "/model"
    found.delete()
    assert list(mesh.list_deployments()) == ["twin"]


@pytest.mark.feature("25")
def test_get_deployment_of_an_unknown_name_is_a_key_error_that_names_the_known() -> None:
    with pytest.raises(KeyError, match="there is no deployment 'rep-3'; there are: none"):
        mesh.get_deployment("rep-3")
    Teller.options(name="rep-1").deploy()
    with pytest.raises(KeyError, match="there is no deployment 'rep-3'; there are: rep-1"):
        mesh.get_deployment("rep-3")
    with pytest.raises(DeploymentNotFound, match="there is no deployment 'Teller'"):
        Teller.get_handle()


@pytest.mark.feature("63c")
def test_an_ambiguous_name_names_both(run: Run) -> None:
    run(Teller.bind("/a"), name="one")
    run(Teller.bind("/b"), name="two")
    with pytest.raises(ConfigError, match="there are 2 deployments 'Teller': one/Teller and two/Teller"):
        mesh.get_deployment("Teller")
    assert mesh.get_deployment("Teller", application="one").get_handle().settings.remote().result() == "/a"
    assert mesh.get_deployment("two/Teller").get_handle().settings.remote().result() == "/b"


@pytest.mark.feature("26")
@pytest.mark.feature("25")
def test_a_deployment_of_a_graph_is_changed_in_its_place(run: Run) -> None:
    run(Teller.options(name="outer").bind(echo.bind()), name="graph")
    pids = _pids(mesh.get_deployment("outer").get_handle())
    mesh.get_deployment("echo").options(num_replicas=2).deploy()
    (application,) = mesh.status().applications
    assert {one.name: one.num_replicas for one in application.deployments} == {"outer": 1, "echo": 2}
    assert _pids(mesh.get_deployment("outer").get_handle()) == pids
    with pytest.raises(ConfigError, match=r"'echo' is part of application 'graph', with outer: mesh.delete\('graph'\)"):
        echo.delete()


@pytest.mark.feature("26")
@pytest.mark.feature("27")
def test_another_process_finds_it_calls_it_and_cannot_deploy_to_it(tmp_path: Path) -> None:
    Teller.options(name="shop").deploy("/model")
    (tmp_path / "stranger.py").write_text(
        "import json, mesh\n"
        "deployment = mesh.get_deployment('shop')\n"
        "print(json.dumps([repr(deployment), deployment.get_handle().remote('x').result(timeout_s=30)]))\n"
        "import os; os.environ['MESH_ADDRESS'] = str(mesh.status().engine_pid)\n"
        "deployment.deploy()\n"
    )
    ended = run_python("stranger.py", cwd=tmp_path)
    shown, answer = json.loads(ended.stdout)
    assert shown == "Deployment(name=shop,version=None,route_prefix=/shop)"
    assert answer == ["/model", *_pids(mesh.get_deployment("shop").get_handle()), "x"]
    assert ended.code == 1
    (port,) = {mesh.status().url.rstrip("/").rpartition(":")[2]}
    assert f"the mesh at port {port} belongs to " in ended.stderr
    assert f"(pid {mesh.status().owner_pid})" in ended.stderr


@pytest.mark.feature("28")
def test_http_at_the_name_or_the_route_prefix(own_mesh: RunningMesh) -> None:
    Teller.deploy("/model")
    Teller.options(name="api", route_prefix="/v1/api").deploy("/api")
    Teller.options(name="hidden", route_prefix=None).deploy("/hidden")
    assert json.loads(urlopen(f"{own_mesh.url}/Teller", timeout=30).read())[::2] == ["/model", "request"]
    assert json.loads(urlopen(f"{own_mesh.url}/v1/api", timeout=30).read())[0] == "/api"
    routes = json.loads(urlopen(f"{own_mesh.url}/-/routes", timeout=30).read())
    assert routes == {"/Teller": "Teller", "/v1/api": "api"}


@pytest.mark.feature("29")
def test_delete_url_and_properties(own_mesh: RunningMesh) -> None:
    named = Teller.options(name="shop", num_replicas=2, version="1")
    assert (named.name, named.num_replicas, named.version, named.route_prefix) == ("shop", 2, "1", "/shop")
    assert named.url == f"{own_mesh.url}/shop"
    assert named.options(route_prefix=None).url is None
    named.deploy()
    handle = named.get_handle()
    named.delete()
    assert own_mesh.replicas() == {}
    with pytest.raises(DeploymentNotFound):
        handle.remote(1).result(timeout_s=30)
    with pytest.raises(DeploymentNotFound, match="there is no deployment 'shop'; there are: none"):
        named.delete()


@pytest.mark.feature("30")
def test_a_call_without_arguments_passes_an_empty_request_where_call_takes_one() -> None:
    Teller.deploy("/model")
    echo.deploy()
    assert Teller.get_handle().remote().result(timeout_s=30)[2] == "request"
    assert echo.get_handle().remote().result(timeout_s=30) == "Request"
    assert echo.get_handle().remote(5).result(timeout_s=30) == "5"
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'request'"):
        echo.get_handle().remote(loud=True).result(timeout_s=30)


def test_deploying_while_it_is_being_deployed_is_refused_and_names_it(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    slow = mesh.deployment(Stubborn)
    deploying = threading.Thread(target=slow.deploy, args=(str(gate),))
    deploying.start()
    wait_until(lambda: any(one.name == "Stubborn" for one in mesh.status().applications))
    with pytest.raises(DeployInProgress, match=r"application 'Stubborn' is being deployed by .* \(pid \d+\) right now"):
        slow.deploy(str(gate))
    Teller.deploy()  # another application is another matter
    gate.touch()
    deploying.join(30)
    assert slow.get_handle().remote().result(timeout_s=30) == "through"
    slow.deploy(str(gate))
