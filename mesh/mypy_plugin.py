"""What mypy cannot see by itself: that a decorated class is a deployment too, and that a handle has its methods.

Switched on by ``plugins = ["mesh.mypy_plugin"]`` in mypy's configuration. mypy imports it; mesh never does.

mypy ignores what a class decorator returns, which is as well: the name still goes for the class in annotations, as in
``DeploymentHandle[Model]``. What a deployment has beside that (``Model.bind``) comes from a metaclass that exists for
type checking only. Attributes of a handle are the methods of its class, as handles of their signature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy.checker import TypeChecker
from mypy.nodes import MypyFile, StrExpr, TypeInfo
from mypy.plugin import AttributeContext, ClassDefContext, MethodContext, MethodSigContext, Plugin
from mypy.subtypes import find_member
from mypy.types import (
    AnyType,
    CallableType,
    FunctionLike,
    Instance,
    Overloaded,
    ProperType,
    TupleType,
    Type,
    TypeOfAny,
    TypeType,
    UnionType,
    get_proper_type,
)

_DECORATOR: Final = "mesh.deployments.deployment"
_DEPLOYMENT: Final = "mesh.deployments.Deployment"
_METACLASS: Final = "mesh.deployed_class.DeployedClass"
_PRIORITY: Final = 10  # of an import at the top of a file, as mypy counts
_HANDLE: Final = "mesh.handle.DeploymentHandle"
_NODE: Final = "mesh.dag.nodes.DeploymentNode"
_CALLS: Final = ("mesh.response.DeploymentResponse", "mesh.response.Ref")


class MeshPlugin(Plugin):
    """The hooks by which mypy asks, each for the names that it is about."""

    def get_additional_deps(self, file: MypyFile) -> list[tuple[int, str, int]]:
        is_ours = file.fullname.partition(".")[0] == "mesh"
        return [] if is_ours else [(_PRIORITY, _METACLASS.rpartition(".")[0], -1)]

    def get_class_decorator_hook_2(self, fullname: str) -> Callable[[ClassDefContext], bool] | None:
        return _become_deployment if fullname == _DECORATOR else None

    def get_method_signature_hook(self, fullname: str) -> Callable[[MethodSigContext], FunctionLike] | None:
        if fullname in (f"{_HANDLE}.remote", f"{_HANDLE}.__call__"):
            return _taking_responses
        return _parameters_of_bind if fullname.endswith(".bind") else None

    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        owner, _, name = fullname.rpartition(".")
        return (lambda context: _method_of_handle(context, name)) if owner == _HANDLE else None

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        return _options_of_handle if fullname == f"{_HANDLE}.options" else None


def plugin(version: str) -> type[Plugin]:
    """What mypy calls to find the plugin."""
    return MeshPlugin


# --- a decorated class


def _become_deployment(context: ClassDefContext) -> bool:
    """Give a decorated class the metaclass that has bind, options and the rest; False = ask again later."""
    metaclass = context.api.lookup_fully_qualified_or_none(_METACLASS)
    if metaclass is None or not isinstance(metaclass.node, TypeInfo):
        return False
    decorated = context.cls.info
    if decorated.metaclass_type is None or decorated.metaclass_type.type.fullname in ("builtins.type", "abc.ABCMeta"):
        decorated.declared_metaclass = decorated.metaclass_type = Instance(metaclass.node, [])
    return True


def _parameters_of_bind(context: MethodSigContext) -> FunctionLike:
    """``Model.bind`` takes what the constructor of ``Model`` takes, and a node in place of any of it.

    Without arguments it takes the deployment's ``init_args``, which nobody knows here.
    """
    signature, constructor = context.default_signature, _constructor(context.type)
    if constructor is None or not isinstance(signature, CallableType) or not any(context.args):
        return signature
    node = _instance(context.api, _NODE, AnyType(TypeOfAny.special_form))

    def widened(kind: Type) -> Type:
        return AnyType(TypeOfAny.special_form) if _holds_handles(kind) else UnionType.make_union([kind, node])

    return _with_parameters(constructor, widened, signature.ret_type)


def _holds_handles(kind: Type) -> bool:
    """It is a container of handles, such as ``list[DeploymentHandle]``, for which containers of nodes are given."""
    kind = get_proper_type(kind)
    if isinstance(kind, UnionType):
        return any(_holds_handles(item) for item in kind.items)
    inside = kind.args if isinstance(kind, Instance) else kind.items if isinstance(kind, TupleType) else ()
    return any(_is_handle(element) or _holds_handles(element) for element in inside)


def _is_handle(kind: Type) -> bool:
    kind = get_proper_type(kind)
    return isinstance(kind, Instance) and kind.type.fullname == _HANDLE


def _constructor(kind: ProperType) -> CallableType | None:
    """The constructor of a decorated class, or of the class of a Deployment, as it is called."""
    if isinstance(kind, CallableType) and kind.is_type_obj():
        metaclass = kind.type_object().metaclass_type
        return kind if metaclass is not None and metaclass.type.fullname == _METACLASS else None
    if isinstance(kind, Instance) and kind.type.fullname == _DEPLOYMENT:
        target = get_proper_type(kind.args[0])
        if isinstance(target, CallableType) and target.is_type_obj():
            return target
        if isinstance(target, TypeType) and isinstance(target.item, Instance):
            init = _signature(target.item, "__init__")
            return init if isinstance(init, CallableType) else None
    return None


# --- a handle


def _method_of_handle(context: AttributeContext, name: str) -> Type:
    """``handle.method``: a handle of the signature of that method."""
    handle = get_proper_type(context.type)
    if not isinstance(handle, Instance) or name in handle.type.names or not handle.args:
        return context.default_attr_type
    return _handle_of_method(context, handle, name, context.default_attr_type)


def _options_of_handle(context: MethodContext) -> Type:
    """``handle.options(method_name="predict")`` with the name written out."""
    handle = get_proper_type(context.type)
    for names, expressions in zip(context.arg_names, context.args, strict=True):
        for name, expression in zip(names, expressions, strict=True):
            if name == "method_name" and isinstance(expression, StrExpr) and isinstance(handle, Instance):
                return _handle_of_method(context, handle, expression.value, context.default_return_type)
    return context.default_return_type


def _handle_of_method(context: AttributeContext | MethodContext, handle: Instance, name: str, unknown: Type) -> Type:
    called = get_proper_type(handle.args[0])
    if not isinstance(called, Instance):
        return unknown
    method = _signature(called, name)
    if method is None:
        if called.type.get_method("__getattr__") is None and not called.type.fallback_to_any:
            context.api.fail(f'"{called.type.name}" has no method "{name}" that a handle could call', context.context)
        return unknown
    if not isinstance(method, CallableType | Overloaded):
        return unknown
    return handle.copy_modified(args=[method])


def _taking_responses(context: MethodSigContext) -> FunctionLike:
    """A call: a response or a ref goes where its value goes."""

    def widened(kind: Type) -> Type:
        return UnionType.make_union([kind, *(_instance(context.api, call, kind) for call in _CALLS)])

    signature = context.default_signature
    return _with_parameters(signature, widened, signature.ret_type)


# --- both


def _signature(owner: Instance, name: str) -> ProperType | None:
    """The type of a method as it is called on an instance, with awaitables and generators as they are."""
    kind = find_member(name, owner, owner)
    return None if kind is None else get_proper_type(kind)


def _with_parameters(method: CallableType, change: Callable[[Type], Type], result: Type) -> CallableType:
    kinds = [kind if isinstance(get_proper_type(kind), AnyType) else change(kind) for kind in method.arg_types]
    return method.copy_modified(arg_types=kinds, ret_type=result, name=method.name)


def _instance(api: object, fullname: str, argument: Type) -> Instance:
    """The generic class of that name, of ``argument``."""
    assert isinstance(api, TypeChecker)
    module, _, name = fullname.rpartition(".")
    node = api.modules[module].names[name].node
    assert isinstance(node, TypeInfo)
    return Instance(node, [argument])
