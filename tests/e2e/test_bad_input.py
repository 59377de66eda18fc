"""What is wrong is named, with what would be right; nothing is half started, nothing is lost. As scripts do it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

import mesh
from mesh import errors
from mesh.dag import InputNode
from mesh.drivers import DAGDriver
from mesh.http_adapters import json_request
from tests.e2e.commands import LIMIT_S, MESHCTL, Ended, run_python, run_to_end
from tests.e2e.running_mesh import Run, RunningMesh
from tests.services.graphs import Adder, combine
from tests.services.handles import Echo

SERVES = """
import sys
import mesh

@mesh.deployment
class Model:
    def __call__(self, request):
        return "served"

if __name__ == "__main__":
    mesh.start(http_options=mesh.HTTPOptions(port=int(sys.argv[1])))
    mesh.run(Model.bind())
    print(mesh.status().url, flush=True)
    if sys.argv[2:]:
        sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with a script that serves at the port of its first argument."""
    (tmp_path / "script.py").write_text(SERVES)
    return tmp_path


@contextmanager
def _serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The script while it serves, and its port."""
    command = [sys.executable, "script.py", "0", "wait"]
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline().strip().rstrip("/").rpartition(":")[2])
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT_S)


def _python(code: str, folder: Path) -> Ended:
    """Run a script of this text."""
    (folder / "bad.py").write_text(code)
    return run_python("bad.py", cwd=folder)


# --- names of ours in the working directory


@pytest.mark.parametrize("name", ["types", "sidecar", "http_bridge", "asyncio", "uvicorn", "starlette"])
def test_users_file_with_a_name_of_ours_breaks_nothing_in_a_script(folder: Path, name: str) -> None:
    """A script's own folder comes first on its path, so only what the script itself does not import can be hidden."""
    (folder / "app").mkdir()
    (folder / "app" / f"{name}.py").write_text("raise RuntimeError('the wrong file was imported')\n")
    (folder / "app" / "model.py").write_text(SERVES.partition("if __name__")[0])
    (folder / "outside.py").write_text(
        "import sys, mesh, httpx\nfrom mesh.drivers import DAGDriver\n"
        "sys.path.append('app')\nsys.path.insert(0, 'app')\nfrom model import Model\n"
        "mesh.start(http_options=mesh.HTTPOptions(port=0))\nmesh.run(Model.bind())\n"
        "print(httpx.get(mesh.status().url).text)\n"
    )
    ended = run_python("outside.py", cwd=folder)
    assert (ended.code, ended.stdout) == (0, "served\n"), ended.stderr


@pytest.mark.parametrize("name", ["sidecar", "http_bridge"])
def test_users_file_beside_the_script_with_a_name_of_our_processes_breaks_nothing(folder: Path, name: str) -> None:
    (folder / f"{name}.py").write_text("raise RuntimeError('the wrong file was imported')\n")
    ended = run_python("script.py", "0", cwd=folder)
    assert ended.code == 0, ended.stderr
    assert ended.stdout.startswith("http://localhost:")


@pytest.mark.parametrize("name", ["mesh", "types", "sidecar", "http_bridge"])
def test_file_in_a_working_directory_that_is_not_the_scripts_breaks_nothing(folder: Path, name: str) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / f"{name}.py").write_text("raise RuntimeError('the wrong file was imported')\n")
    ended = run_python(str(folder / "script.py"), "0", cwd=folder / "elsewhere")
    assert ended.code == 0, ended.stderr
    assert ended.stdout.startswith("http://localhost:")


# --- meshctl run


@pytest.mark.parametrize(
    ("import_path", "says"),
    [
        pytest.param("nothing:node", "nothing", id="a module that does not exist"),
        pytest.param("script:nothing", "nothing", id="no such attribute"),
        pytest.param("script", "module:node", id="no attribute at all"),
        pytest.param("raising:node", "LookupError: at import", id="a module that raises at import"),
        pytest.param("script:SERVES", "SERVES", id="an attribute that is no node"),
        pytest.param("script:Model", "bind", id="a deployment that is not bound"),
        pytest.param("config.yaml", "config.yaml:1: applications: List should have at least 1", id="a config file"),
    ],
)
def test_meshctl_run_of_what_cannot_be_run(folder: Path, import_path: str, says: str) -> None:
    (folder / "script.py").write_text(f"{SERVES}\nSERVES = 3\n")
    (folder / "raising.py").write_text("raise LookupError('at import')\n")
    (folder / "config.yaml").write_text("applications: []\n")
    ended = run_to_end(MESHCTL, "run", import_path, "--port", "0", cwd=folder)
    assert ended.code == 1, ended.stderr
    assert says in ended.stderr
    assert "mesh/cli" not in ended.stderr
    assert "running at" not in ended.stdout


# --- ports and other meshes


def test_busy_port_is_named_and_nothing_is_left(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_python("script.py", str(port), cwd=folder)
    assert ended.code == 1
    assert str(port) in ended.stderr.splitlines()[-1]
    assert "the script has ended, and its deployments" not in ended.stderr


@pytest.mark.feature("31")
def test_port_of_another_scripts_mesh_is_named_with_pid_and_script(folder: Path) -> None:
    with _serving(folder) as (process, port):
        ended = run_python("script.py", str(port), cwd=folder)
        assert ended.code == 1
        assert str(process.pid) in ended.stderr
        assert "script.py" in ended.stderr.splitlines()[-1]
        assert httpx.get(f"http://localhost:{port}/").text == "served"


def test_another_scripts_mesh_can_run_beside_and_is_asked_but_not_deployed_to(folder: Path) -> None:
    with _serving(folder) as (process, _):
        beside = run_python("script.py", "0", cwd=folder)
        assert beside.code == 0, beside.stderr
        asking = _python(
            "import json, mesh\nstatus = mesh.status()\n"
            "print(json.dumps([status.owner_pid, [a.name for a in status.applications]]))\n"
            "mesh.delete('default')\n",
            folder,
        )
        assert json.loads(asking.stdout) == [process.pid, ["default"]]
        assert asking.code == 1
        assert f"(pid {process.pid}) and ends with it, so what is deployed there is up to that script" in asking.stderr


def test_status_without_any_mesh_says_how_to_start_one() -> None:
    with pytest.raises(errors.MeshUnavailable, match=r"mesh\.run"):
        mesh.status()


def test_handle_without_any_mesh_says_how_to_start_one() -> None:
    with pytest.raises(errors.MeshUnavailable, match=r"mesh\.run"):
        mesh.DeploymentHandle("default", "Model").remote()


def test_handle_of_a_mesh_that_has_ended_says_so(folder: Path) -> None:
    ended = _python(
        "import mesh\n\n@mesh.deployment\ndef model():\n    return 1\n\n"
        "if __name__ == '__main__':\n"
        "    mesh.start(http_options=mesh.HTTPOptions(port=0))\n"
        "    handle = mesh.run(model.bind())\n    handle.remote().result()\n    mesh.shutdown()\n"
        "    handle.remote()\n",
        folder,
    )
    assert ended.code == 1
    assert ended.stderr.splitlines()[-1].startswith("mesh.errors.MeshUnavailable: ")


def test_start_with_other_options_is_refused(own_mesh: RunningMesh) -> None:
    with pytest.raises(errors.ConfigError, match=r"mesh\.shutdown\(\)"):
        mesh.start(http_options=mesh.HTTPOptions(port=1))
    with pytest.raises(errors.ConfigError, match=r"GRPCOptions.*mesh\.shutdown\(\)"):
        mesh.start(grpc_options=mesh.GRPCOptions(port=None))
    with pytest.raises(errors.ConfigError, match=r"bridges=2\) is not what .*mesh\.shutdown\(\)"):
        mesh.start(http_options=mesh.HTTPOptions(port=0, bridges=2))
    mesh.start()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"port": "8000"}, "'8000'"),
        ({"port": 80.5}, "80.5"),
        ({"port": True}, "True"),
        ({"port": 65536}, "65536"),
        ({"host": 3}, "3"),
    ],
)
def test_options_that_are_no_place_are_refused_where_they_are_made(options: dict[str, Any], named: str) -> None:
    with pytest.raises(errors.ConfigError, match=f"^{next(iter(options))} .*not {named}$"):
        mesh.HTTPOptions(**options)
    with pytest.raises(errors.ConfigError, match=f"^{next(iter(options))} .*not {named}$"):
        mesh.GRPCOptions(**options)


@pytest.mark.parametrize("bridges", [0, 65, 1.5, True, "2"])
def test_bridges_that_are_no_number_are_refused_where_they_are_said(bridges: Any) -> None:
    with pytest.raises(errors.ConfigError, match=f"^bridges must be a whole number from 1 to 64, not {bridges!r}$"):
        mesh.HTTPOptions(bridges=bridges)


@pytest.mark.parametrize("options", [{"port": 8001}, 8001, "localhost"])
def test_options_of_another_type_are_refused(options: Any) -> None:
    with pytest.raises(TypeError, match=r"write mesh\.HTTPOptions\(host=\.\.\., port=\.\.\.\)"):
        mesh.start(http_options=options)
    with pytest.raises(TypeError, match=r"write mesh\.GRPCOptions\(host=\.\.\., port=\.\.\.\)"):
        mesh.start(grpc_options=options)


def test_module_that_runs_a_mesh_when_it_is_imported_is_told_of_main(folder: Path) -> None:
    (folder / "model.py").write_text(
        "import mesh\n\n@mesh.deployment\nclass Model:\n    def __call__(self):\n        return 1\n\n"
        "mesh.start(http_options=mesh.HTTPOptions(port=0))\nmesh.run(Model.bind())\n"
    )
    ended = _python("import model\n", folder)
    assert ended.code == 1
    assert 'under `if __name__ == "__main__":`' in ended.stderr


# --- graphs and options


def test_second_input_node() -> None:
    with InputNode() as first:
        pass
    with InputNode() as second, pytest.raises(ValueError, match="InputNode"):
        mesh.run(DAGDriver.bind(combine.bind(first, second)))


def test_input_node_as_a_constructor_argument() -> None:
    with InputNode() as number, pytest.raises(ValueError, match="constructor"):
        mesh.run(DAGDriver.bind(Adder.bind(number).add.bind(1)))


def test_unknown_method_at_bind() -> None:
    with pytest.raises(AttributeError, match=r"'sub'.*add"):
        Adder.bind(1).sub.bind(2)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        pytest.param({"num_replica": 2}, ValueError, "num_replicas", id="a wrong name: the near one"),
        pytest.param({"num_replicas": "2"}, ValueError, "num_replicas.*'2'", id="a wrong type"),
        pytest.param({"num_replicas": 0}, ValueError, "num_replicas.*0", id="a wrong value"),
        pytest.param({"max_ongoing_requests": True}, ValueError, "max_ongoing_requests.*True", id="a truth value"),
        pytest.param({"request_timeout_s": -1}, ValueError, "request_timeout_s.*-1", id="a negative time"),
        pytest.param({"name": "a b"}, ValueError, "'a b'", id="a name with a blank"),
        pytest.param({"route_prefix": "x"}, ValueError, "'x'", id="a prefix without its slash"),
        pytest.param({"autoscaling_config": {}}, NotImplementedError, "autoscaling", id="an option of a later version"),
        pytest.param({"user_config": {}}, ValueError, "reconfigure", id="a user_config that nothing takes"),
    ],
)
def test_wrong_option(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Echo.options(**options)


@pytest.mark.parametrize("route_prefix", ["x", "/x/", "/{x}", ""])
def test_wrong_route_prefix_of_run(own_mesh: RunningMesh, route_prefix: str) -> None:
    with pytest.raises(ValueError, match=r"route_prefix|route prefix"):
        mesh.run(Echo.bind(), route_prefix=route_prefix)
    assert mesh.status().applications == ()


def test_route_prefix_of_another_application_is_refused_naming_both(run: Run) -> None:
    run(Echo.bind(), name="first", route_prefix="/taken")
    with pytest.raises(errors.ConfigError, match=r"/taken.*first|first.*/taken"):
        run(Echo.bind(), name="second", route_prefix="/taken")
    assert [application.name for application in mesh.status().applications] == ["first"]


def test_delete_of_what_is_not_there_names_what_is(run: Run) -> None:
    run(Echo.bind(), name="here")
    with pytest.raises(KeyError, match="here"):
        mesh.delete("nowhere")


# --- constructors


def test_constructor_argument_that_does_not_pickle_is_named_and_nothing_starts(own_mesh: RunningMesh) -> None:
    with socket.socket() as unpicklable, pytest.raises(TypeError, match="pickle"):
        mesh.run(Adder.bind(unpicklable))  # type: ignore[arg-type]
    assert mesh.status().applications == ()
    assert own_mesh.replicas() == {}


def test_constructor_that_ends_the_process_is_shown(own_mesh: RunningMesh) -> None:
    @mesh.deployment
    class Ends:
        def __init__(self) -> None:
            os._exit(7)

    with pytest.raises(errors.DeployFailed, match="7"):
        mesh.run(Ends.bind())
    assert mesh.status().applications == ()


def test_module_that_a_replica_cannot_import_is_shown(own_mesh: RunningMesh) -> None:
    @mesh.deployment
    class Imports:
        def __init__(self) -> None:
            import module_that_is_not_there  # type: ignore[import-not-found]  # noqa: F401

    with pytest.raises(errors.DeployFailed, match="module_that_is_not_there"):
        mesh.run(Imports.bind())


# --- requests


def test_body_that_is_no_json_is_400(run: Run, own_mesh: RunningMesh) -> None:
    run(DAGDriver.bind(Adder.bind(1), http_adapter=json_request), route_prefix="/add")
    for body in (b"", b"{", b"\xff\xfe"):
        answer = httpx.post(f"{own_mesh.url}/add", content=body)
        assert answer.status_code == 400, answer.text
        assert "no JSON" in answer.text
    assert httpx.post(f"{own_mesh.url}/add", content=b"2").json() == 200


def test_adapter_that_fails_on_its_input_is_422(run: Run, own_mesh: RunningMesh) -> None:
    run(DAGDriver.bind(Adder.bind(1), http_adapter=_number), route_prefix="/add")
    answer = httpx.get(f"{own_mesh.url}/add", params={"number": "three"})
    assert answer.status_code == 422
    assert "_number" in answer.text
    assert "three" in answer.text
    assert httpx.get(f"{own_mesh.url}/add", params={"number": "3"}).json() == 300


def _number(request: Request) -> int:
    return int(request.query_params["number"])


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"\r\n" * 9,
    ],
    ids=["bytes", "a version", "a long path", "empty lines"],
)
def test_what_is_no_http_ends_its_connection_and_no_other(run: Run, own_mesh: RunningMesh, garbage: bytes) -> None:
    run(Echo.bind(), route_prefix="/echo")
    url = httpx.URL(own_mesh.url)
    with socket.create_connection((url.host, url.port or 0), LIMIT_S) as connection:
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        said = connection.recv(1000)
    assert said == b"" or said.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    assert httpx.get(f"{own_mesh.url}/-/healthz").status_code == 200
