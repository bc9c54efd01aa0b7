"""Every condition of the rules, found in their source, and what the rules are without one of them.

A guard is a condition at which a function of the rules gives up: an ``if`` that only returns, continues or raises, or
one operand of its ``or``; or one operand of an ``and`` that is returned. Without a guard the function goes on.
"""

from __future__ import annotations
import __future__

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import CodeType, ModuleType
from typing import Any

from kerasbn_testing.coverage import rule_modules

OTHERS = ("folding.route", "folding.affine_calls", "folding.engine", "folding.hard_swish", "algebra.taps")
ANNOTATIONS = __future__.annotations.compiler_flag


@dataclass(frozen=True)
class Guard:
    """One condition of one function.

    Attributes:
        name: Module, function, and the condition in its own words.
        module: Where it stands.
        function: The function, after its class where it is a method.
        line: The first line of the `ast` node.
        without: What takes its place where it is taken away.
    """

    name: str
    module: ModuleType
    function: str
    line: int
    column: int
    without: bool

    @property
    def text(self) -> str:
        """The condition in its own words."""
        return self.name.partition(": ")[2].removesuffix(" (again)")

    @property
    def owner(self) -> Any:
        """The function object."""
        found: Any = self.module
        for part in self.function.split("."):
            found = getattr(found, part)
        return found

    def removed(self) -> CodeType:
        """The code of the function without the guard."""
        return _compiled([self], lambda guard, _: ast.Constant(guard.without))


@contextmanager
def watching(see: Callable[[str], None]) -> Iterator[None]:
    """Tell the name of a guard whenever it holds a function back."""
    asking = _asking_codes()
    before = {function: function.__code__ for function in asking}
    for function, code in asking.items():
        function.__globals__["_told"] = lambda name, value: _told(name, value, see)
        function.__code__ = code
    try:
        yield
    finally:
        for function, code in before.items():
            function.__code__ = code
            function.__globals__.pop("_told", None)


@cache
def _asking_codes() -> dict[Any, CodeType]:
    """The code of every function with guards, each of them telling what it found."""
    functions: dict[Any, list[Guard]] = {}
    for guard in guards().values():
        functions.setdefault(guard.owner, []).append(guard)
    return {
        function: _compiled(inside, lambda guard, node: _asking(guard.name, node))
        for function, inside in functions.items()
    }


def _asking(name: str, node: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("_told", ast.Load()), [ast.Constant(name), node], [])


def _told(name: str, value: Any, see: Callable[[str], None]) -> Any:
    if bool(value) is not guards()[name].without:
        see(name)
    return value


@cache
def guards() -> dict[str, Guard]:
    """Every guard of the rules and of the engine, by name."""
    modules = [*rule_modules(), *(importlib.import_module(f"kerasbn_export.{name}") for name in OTHERS)]
    found: dict[str, Guard] = {}
    for module in modules:
        for function, node in _functions(ast.parse(inspect.getsource(module))):
            for condition, without in _conditions(node):
                name = f"{module.__name__.rpartition('.')[2]}.{function}: {ast.unparse(condition)}"
                while name in found:
                    name += " (again)"
                found[name] = Guard(name, module, function, condition.lineno, condition.col_offset, without)
    return found


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            plain = (inner for inner in node.body if isinstance(inner, ast.FunctionDef) and not inner.decorator_list)
            yield from ((f"{node.name}.{inner.name}", inner) for inner in plain)


def _conditions(function: ast.FunctionDef) -> Iterator[tuple[ast.expr, bool]]:
    """Each condition, and what it is where it does not hold the function back."""
    for node in ast.walk(function):
        if isinstance(node, ast.If) and len(node.body) == 1 and isinstance(node.body[0], (ast.Return, ast.Continue)):
            parts = node.test.values if _is(node.test, ast.Or) else [node.test]
            yield from ((part, False) for part in parts)
        elif isinstance(node, ast.If) and _is(node.test, ast.And):
            yield from ((part, True) for part in node.test.values)
        elif isinstance(node, ast.Return) and node.value is not None and _is(node.value, ast.And):
            yield from ((part, True) for part in node.value.values)
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.IfExp) and _gives_none(node.value):
            yield node.value.test, _gives_none(node.value) is node.value.orelse


def _is(node: ast.AST, kind: type) -> bool:
    return isinstance(node, ast.BoolOp) and isinstance(node.op, kind)


def _gives_none(node: ast.IfExp) -> ast.expr | None:
    return next((e for e in (node.body, node.orelse) if isinstance(e, ast.Constant) and e.value is None), None)


def _compiled(inside: list[Guard], change: Callable[[Guard, ast.expr], ast.expr]) -> CodeType:
    """The code of the one function that the guards stand in, each of them changed."""
    source = inspect.getsource(inside[0].module)
    function = next(node for name, node in _functions(ast.parse(source)) if name == inside[0].function)
    function = _Places(inside, change).visit(function)
    module = ast.fix_missing_locations(ast.Module([function], []))
    code = compile(module, inside[0].module.__file__ or "", "exec", flags=ANNOTATIONS, dont_inherit=True)
    return next(const for const in code.co_consts if isinstance(const, CodeType))


class _Places(ast.NodeTransformer):
    """Changes the expressions that stand where guards stand."""

    def __init__(self, inside: list[Guard], change: Callable[[Guard, ast.expr], ast.expr]) -> None:
        self.inside = {(guard.line, guard.column, guard.text): guard for guard in inside}
        self.change = change

    def visit(self, node: ast.AST) -> ast.AST:
        guard = None
        if isinstance(node, ast.expr):
            guard = self.inside.get((node.lineno, node.col_offset, ast.unparse(node)))
        changed = self.generic_visit(node)
        return changed if guard is None else ast.copy_location(self.change(guard, changed), node)
