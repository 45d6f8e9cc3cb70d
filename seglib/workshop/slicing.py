"""The statements of a lesson that its last expression depends on, and no others.

The site draws a lesson's explorer in many of its states. For that it needs the explorer, but
neither the training nor the figures that come before it in the lesson.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator, Sequence

REBINDS = (ast.Assign, ast.AnnAssign, ast.Import, ast.ImportFrom, ast.FunctionDef, ast.With)


def needed_code(cells: Sequence[str]) -> str:
    """A program of those statements, in their order, that ends with the last cell's expression.

    Names are followed backwards. A method called on an object as a statement (`found.append(x)`)
    counts as a change of this object; a function called as a statement (`print(x)`) changes
    nothing, and neither does a function of a module, except that seeds are set.

    Args:
        cells: the code of all cells up to and including the one with the expression.

    Raises:
        ValueError: the last cell does not end with an expression.
    """
    *before, last = [statement for cell in cells for statement in ast.parse(cell).body]
    if not isinstance(last, ast.Expr):
        raise ValueError("the last cell does not end with an expression")
    modules = {n for s in before if isinstance(s, ast.Import | ast.ImportFrom) for n in _bound(s)}
    needed_names = _read(last)
    kept: list[ast.stmt] = [last]
    for statement in reversed(before):
        changed = _bound(statement) | _mutated(statement, modules)
        if not changed & needed_names:
            continue
        if isinstance(statement, REBINDS):
            needed_names -= _bound(statement)
        needed_names |= _read(statement)
        kept.append(statement)
    return "\n".join(ast.unparse(statement) for statement in reversed(kept)) + "\n"


def _table(statement: ast.stmt) -> symtable.SymbolTable:
    return symtable.symtable(ast.unparse(statement), "lesson", "exec")


def _bound(statement: ast.stmt) -> set[str]:
    """Global names to which a statement gives a value."""
    symbols = _table(statement).get_symbols()
    return {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}


def _read(statement: ast.stmt) -> set[str]:
    """Global names that a statement reads, also inside functions that it defines."""
    return set(_globals_of(_table(statement)))


def _globals_of(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        outside = table.get_type() == "module" or symbol.is_global()
        if outside and symbol.is_referenced():
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _globals_of(inner)


def _mutated(statement: ast.stmt, modules: set[str]) -> set[str]:
    """Names whose objects a statement changes: `x[0] = 1`, `x.y = 1`, `x.append(1)`."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return set()
    names = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            names |= _base(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = node.value.func
            if isinstance(called, ast.Attribute):
                seeds = called.attr == "manual_seed"
                names |= _base(called) if seeds else _base(called) - modules
    return names


def _base(node: ast.expr) -> set[str]:
    """The name at the beginning of `name.part[0].part`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return {node.id} if isinstance(node, ast.Name) else set()
