"""Targets on the wire: by import path where a fresh interpreter would find them, pickled otherwise."""

from __future__ import annotations

import functools
import hashlib
import importlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mesh.config import Method, MethodKind
from mesh.errors import PayloadError
from mesh.target import EncodedTarget, encode_target, load_target, methods_of

SOURCE = """
from mesh.deployments import deployment

@deployment
class Decorated:
    class Inner:
        pass

    def value(self):
        return VALUE

@deployment(name="renamed")
def decorated_function():
    return VALUE

def bare():
    return VALUE

served = deployment(bare)

def factory(value):
    class Made:
        def value(self):
            return value
    return Made

class Replaced:
    def value(self):
        return "first"

first = Replaced

class Replaced:
    def value(self):
        return "second"

double = lambda x: 2 * x
VALUE = "from the module"
"""
MODULE = "user_module_of_test_target"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / f"{MODULE}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module(MODULE)
    sys.modules.pop(MODULE, None)


@pytest.mark.parametrize(
    ("find", "qualname"),
    [
        pytest.param(lambda m: m.Decorated.target, "Decorated", id="a decorated class"),
        pytest.param(lambda m: m.Decorated.target.Inner, "Decorated.Inner", id="a class inside a decorated class"),
        pytest.param(lambda m: m.decorated_function.target, "decorated_function", id="a decorated function"),
        pytest.param(lambda m: m.bare, "bare", id="a bare function"),
        pytest.param(lambda m: m.served.target, "bare", id="a deployment under another name"),
    ],
)
def test_what_a_module_holds_travels_by_its_path(module: ModuleType, find: Any, qualname: str) -> None:
    encoded = encode_target(find(module))
    assert encoded == EncodedTarget(f"{MODULE}:{qualname}", hashlib.sha256(SOURCE.encode()).hexdigest())
    assert load_target(encoded.import_path, b"") is find(module)


@pytest.mark.feature("19")
@pytest.mark.parametrize(
    ("find", "use", "result"),
    [
        pytest.param(lambda m: m.factory(5), lambda made: made().value(), 5, id="what a factory returns"),
        pytest.param(lambda m: m.first, lambda made: made().value(), "first", id="a class whose name has been taken"),
        pytest.param(lambda m: m.double, lambda made: made(4), 8, id="a lambda"),
    ],
)
def test_what_no_path_leads_to_is_pickled(module: ModuleType, find: Any, use: Any, result: object) -> None:
    encoded = encode_target(find(module))
    assert encoded.import_path == ""
    assert use(load_target("", encoded.blob)) == result


def test_a_module_that_another_interpreter_would_not_find_is_pickled_with_what_it_holds(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(Path(str(module.__file__)).parent)])
    encoded = encode_target(module.bare)
    assert encoded.import_path == ""
    read = "import sys, cloudpickle; print(cloudpickle.loads(sys.stdin.buffer.read())())"
    done = subprocess.run([sys.executable, "-c", read], input=encoded.blob, capture_output=True, check=True, timeout=60)
    assert done.stdout == b"from the module\n"


def test_another_file_of_the_same_name_in_front_of_it_counts_as_another_module(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "front").mkdir()
    (tmp_path / "front" / f"{MODULE}.py").write_text("bare = 5")
    monkeypatch.syspath_prepend(tmp_path / "front")
    assert encode_target(module.bare).import_path == ""


def test_a_module_of_a_package_is_found_where_its_package_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "user_package_of_test_target"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "inner.py").write_text("def f(): ...")
    monkeypatch.syspath_prepend(tmp_path)
    inner = importlib.import_module(f"{package.name}.inner")
    assert encode_target(inner.f).import_path == f"{package.name}.inner:f"
    (package / "__init__.py").unlink()
    (package / "inner.py").unlink()
    assert encode_target(inner.f).import_path == ""


def test_the_main_module_is_pickled(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from mesh.deployments import deployment\nfrom mesh.target import encode_target\nimport sys\n"
        "@deployment\nclass Model:\n    def again(self): return Model.name\n"
        "encoded = encode_target(Model.target)\nassert not encoded.import_path\nsys.stdout.buffer.write(encoded.blob)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, check=True, timeout=60)
    target: Any = load_target("", done.stdout)
    assert target().again() == "Model"


def test_a_function_of_the_interpreter_is_pickled() -> None:
    assert load_target("", encode_target(len).blob) is len


def test_a_target_that_does_not_pickle_is_named() -> None:
    generator = (number for number in range(3))

    def counts() -> None:
        next(generator)

    with pytest.raises(PayloadError, match=r"counts cannot be sent to a replica.*generator"):
        encode_target(counts)


def test_loading_raises_what_the_users_module_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_module_of_test_target.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ZeroDivisionError):
        load_target("broken_module_of_test_target:Model", b"")


class Parent:
    def inherited(self, x: int) -> int:
        return x

    def overridden(self) -> None: ...


class Everything(Parent):
    attribute = 5
    Nested = Parent
    disabled = None

    def __call__(self) -> None: ...
    async def coroutine(self, x: int) -> None: ...
    def generator(self, n: int) -> Iterator[int]:
        yield n

    async def async_generator(self, n: int) -> AsyncIterator[int]:
        yield n

    @staticmethod
    def static() -> None: ...
    @classmethod
    async def of_class(cls) -> None: ...
    @property
    def computed(self) -> int:
        return 1

    def _private(self) -> None: ...
    def __len__(self) -> int:
        return 0

    async def overridden(self, *args: int) -> None: ...  # type: ignore[override]

    partial = functools.partialmethod(Parent.inherited, 1)


@pytest.mark.feature("16")
def test_the_methods_of_a_class() -> None:
    expected = [
        Method("inherited", MethodKind.DEF),
        Method("overridden", MethodKind.ASYNC_DEF),
        Method("__call__", MethodKind.DEF, without_parameters=True),
        Method("coroutine", MethodKind.ASYNC_DEF),
        Method("generator", MethodKind.GENERATOR),
        Method("async_generator", MethodKind.ASYNC_GENERATOR),
        Method("static", MethodKind.DEF, without_parameters=True),
        Method("of_class", MethodKind.ASYNC_DEF, without_parameters=True),
        Method("partial", MethodKind.DEF, without_parameters=True),
    ]
    assert sorted(methods_of(Everything), key=lambda m: m.name) == sorted(expected, key=lambda m: m.name)


def test_a_class_without_call_has_none() -> None:
    assert [method.name for method in methods_of(Parent)] == ["inherited", "overridden"]


@pytest.mark.parametrize(
    ("function", "kind", "without_parameters"),
    [
        pytest.param(lambda: 1, MethodKind.DEF, True, id="no parameter"),
        pytest.param(lambda request: 1, MethodKind.DEF, False, id="one parameter"),
        pytest.param(lambda *args: 1, MethodKind.DEF, False, id="any number of parameters"),
        pytest.param(Everything.coroutine, MethodKind.ASYNC_DEF, False, id="a coroutine function"),
        pytest.param(print, MethodKind.DEF, False, id="a function of the interpreter"),
    ],
)
def test_the_one_method_of_a_function(function: Any, kind: MethodKind, without_parameters: bool) -> None:
    assert methods_of(function) == (Method("__call__", kind, without_parameters),)
