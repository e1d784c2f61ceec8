"""Every service method that writes gets over another's deadlock."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_lite import services

FOLDER = Path(services.__file__).parent
#: A context manager for methods that are declared themselves; a deed on files that is done once.
EXEMPT = {"Registry._change", "Collection._change", "ImageData._end", "ImageImports._finish"}


def writers() -> Iterator[tuple[str, set[str]]]:
    """Methods with a transaction that writes, and the names of their decorators."""
    for path in sorted(FOLDER.rglob("*.py")):
        for kind in (n for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef)):
            for method in (n for n in kind.body if isinstance(n, ast.FunctionDef)):
                entered = {
                    ast.unparse(item.context_expr).partition("(")[0]
                    for block in ast.walk(method)
                    if isinstance(block, ast.With)
                    for item in block.items
                }
                if entered & {"self.database.write", "self._change"}:
                    declared = {ast.unparse(d) for d in method.decorator_list}
                    yield f"{kind.name}.{method.name}", declared


@pytest.mark.parametrize(("method", "declared"), list(writers()), ids=[n for n, _ in writers()])
def test_a_method_that_writes_is_declared_one_transaction(method: str, declared: set[str]) -> None:
    assert ("one_transaction" in declared) != (method in EXEMPT)


def test_the_test_sees_them() -> None:
    assert {"Instances.create", "Networks.create_ports", *EXEMPT} < dict(writers()).keys()
