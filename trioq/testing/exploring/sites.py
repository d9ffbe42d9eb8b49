"""Where a handler may be stopped, seen in its source: what is put there, so that it can be.

A tracing function could see the same places, and no more than that: Python has no way to leave a
function standing in the middle while its loop goes on, and a tracing function that raises is
switched off. So the source is compiled once more, with calls in it:

- after each ``await``, ``async with`` and turn of ``async for`` one that can be suspended, also
  where what was awaited never is, as fakes aren't;
- where code begins to act that a dead process wouldn't run, an ``except``, a ``finally``, any
  function, one that raises if this process is dead: :func:`~.stepped.alive`.

Lines stay what they are, so coverage and debuggers see nothing of it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import CodeType
from typing import Any, TypeVar

import attrs

#: How the code that is put in finds ours: as builtins, since each module has globals of its own.
AFTER, THERE, ALIVE = "__trioq_after__", "__trioq_there__", "__trioq_alive__"

#: An expression longer than this is cut.
SHOWN = 60

S = TypeVar("S", bound=ast.stmt)
D = TypeVar("D", ast.FunctionDef, ast.AsyncFunctionDef)
Key = tuple[str, int]
"""A function's qualified name, and its first line."""


@attrs.frozen
class Site:
    """One place in a file."""

    file: str
    line: int
    text: str
    """What was done there: ``after await psp.charge``."""


@attrs.frozen
class Compiled:
    """A module's functions, with calls in them."""

    codes: dict[Key, CodeType]
    sites: tuple[Site, ...]
    awaits: dict[int, str]
    """What is awaited in each line, for one that is suspended there."""


def compiled(tree: ast.Module, file: str, first: int = 0) -> Compiled:
    """Compile a module.

    Args:
      tree: Is changed.
      first: The number of its first site.
    """
    put_in = _PutIn(file, first)
    put_in.visit(tree)
    ast.fix_missing_locations(tree)
    for node in ast.walk(tree):  # pytest says of what it puts in where that begins, and no more
        if isinstance(node, ast.stmt | ast.expr) and (node.end_lineno or 0) < node.lineno:
            node.end_lineno, node.end_col_offset = node.lineno, node.col_offset
    code = compile(tree, file, "exec", dont_inherit=True)
    return Compiled(dict(_functions(code)), tuple(put_in.sites), put_in.awaits)


def _functions(code: CodeType) -> Iterator[tuple[Key, CodeType]]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield key_of(each), each
            yield from _functions(each)


def key_of(code: CodeType) -> Key:
    """By which a function is found in a module that was compiled again."""
    return code.co_qualname, code.co_firstlineno


class _PutIn(ast.NodeTransformer):
    """Walks through one module."""

    def __init__(self, file: str, first: int) -> None:
        self.file = file
        self.first = first
        self.sites: list[Site] = []
        self.awaits: dict[int, str] = {}
        self._is_async: list[bool] = []
        """Of the functions that we are in, the innermost last."""

    # -- functions -------------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        return self._function(node, is_async=False)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        return self._function(node, is_async=True)

    def _function(self, node: D, *, is_async: bool) -> D:
        self._is_async.append(is_async)
        node.body = self._block(node.body)
        self._is_async.pop()
        is_said = ast.get_docstring(node, clean=False) is not None
        node.body.insert(int(is_said), self._alive(node.body[0]))
        return node

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        self._is_async.append(False)
        self.generic_visit(node)
        self._is_async.pop()
        return node

    # -- what suspends ---------------------------------------------------------------------

    def visit_Await(self, node: ast.Await) -> Any:
        text = f"await {shown(node.value)}"
        self.awaits.setdefault(node.lineno, text)
        self.generic_visit(node)
        return self._after(node, f"after {text}", node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> Any:
        text = "async with " + ", ".join(shown(each.context_expr) for each in node.items)
        self.awaits.setdefault(node.lineno, text)
        self.generic_visit_items(node)
        entered = self._statement(node, f"in {text}, once it is entered")
        node.body = [entered, *self._block(node.body)]
        return [node, self._statement(node, f"after {text}")]

    def generic_visit_items(self, node: ast.AsyncWith | ast.With) -> None:
        node.items = [self.visit(item) for item in node.items]

    def visit_AsyncFor(self, node: ast.AsyncFor) -> Any:
        text = f"async for … in {shown(node.iter)}"
        self.awaits.setdefault(node.lineno, text)
        node.iter = self.visit(node.iter)
        node.body = [self._statement(node, f"in {text}"), *self._block(node.body)]
        node.orelse = self._block(node.orelse)
        return node

    # -- what a dead process doesn't do ------------------------------------------------------

    def visit_With(self, node: ast.With) -> Any:
        self.generic_visit_items(node)
        node.body = self._block(node.body)
        return [node, self._alive(node)]  # it may have let nothing out

    def visit_Try(self, node: ast.Try) -> Any:
        return self._try(node)

    def visit_TryStar(self, node: Any) -> Any:
        return self._try(node)

    def _try(self, node: Any) -> list[ast.stmt]:
        self.generic_visit(node)
        for handler in node.handlers:
            handler.body.insert(0, self._alive(handler.body[0]))
        if node.finalbody:
            node.finalbody.insert(0, self._alive(node.finalbody[0]))
        return [node, self._alive(node)]

    # -- plain statements --------------------------------------------------------------------

    def visit_Expr(self, node: ast.Expr) -> Any:
        call = node.value
        if isinstance(call, ast.Call) and _is_mark(call):
            self.generic_visit(node)
            if self._is_async and self._is_async[-1]:
                node.value = self._after(call, f"at {ast.unparse(call)}", call)
            return node
        return self._plain(node)

    def visit_Assign(self, node: ast.Assign) -> Any:
        return self._plain(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        return self._plain(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        return self._plain(node)

    def _plain(self, node: S) -> Any:
        """In a ``def`` function a handler may be stopped where it has called something."""
        called = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
        in_def = bool(self._is_async) and not self._is_async[-1]
        text = f"after {shown(called[0])}" if called else ""
        self.generic_visit(node)
        if not (in_def and called):
            return node
        number = self._site(node.lineno, text)
        there = ast.Expr(_call(THERE, ast.Constant(number)))
        return [node, _at(there, node)]

    # -- what is put in ----------------------------------------------------------------------

    def _block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for statement in body:
            visited = self.visit(statement)
            found.extend(visited if isinstance(visited, list) else [visited])
        return found

    def _site(self, line: int, text: str) -> int:
        self.sites.append(Site(self.file, line, text))
        return self.first + len(self.sites) - 1

    def _after(self, value: ast.expr, text: str, where: ast.expr) -> ast.expr:
        number = self._site(where.lineno, text)
        return _at(ast.Await(_call(AFTER, ast.Constant(number), value)), where)

    def _statement(self, node: ast.stmt, text: str) -> ast.stmt:
        number = self._site(node.lineno, text)
        nothing = ast.Constant(None)
        return _at(ast.Expr(ast.Await(_call(AFTER, ast.Constant(number), nothing))), node)

    def _alive(self, where: ast.stmt) -> ast.stmt:
        return _at(ast.Expr(_call(ALIVE)), where)


N = TypeVar("N", bound=ast.expr | ast.stmt)


def _at(node: N, where: ast.expr | ast.stmt) -> N:
    """In the line of what is there already: coverage counts lines."""
    ast.copy_location(node, where)
    node.end_lineno, node.end_col_offset = where.lineno, where.col_offset
    return node


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def _is_mark(call: ast.Call) -> bool:
    """Whether it may be a :func:`trioq.testing.mark`; when it is called, that is known."""
    called = call.func
    return (isinstance(called, ast.Name) and called.id == "mark") or (
        isinstance(called, ast.Attribute) and called.attr == "mark"
    )


def shown(node: ast.expr) -> str:
    """An expression as a person would name it: of a call, what is called."""
    while isinstance(node, ast.Call):
        node = node.func
    text = ast.unparse(node)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
