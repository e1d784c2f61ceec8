"""Who may import whom.  The security boundary of the project is a few of these lines."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nova_lite

MAY_IMPORT: dict[str, set[str]] = {
    "domain": set(),
    "context": set(),
    "config": set(),
    "bus": {"domain"},
    "db": {"domain"},
    "scheduler": {"domain"},
    "network.modes": {"domain"},
    "operations": {"domain", "db", "bus", "scheduler", "network.modes"},
    "reconcilers": {"domain", "db", "bus", "operations", "scheduler", "network.modes"},
    "services": {"domain", "db", "operations", "context"},
    "api": {"domain", "services", "context"},  # no facade reaches the database
    "virt": {"domain"},
    "images": {"domain"},
    "network": {"domain", "bus", "network.modes"},  # and no worker does either
    "compute": {"domain", "bus", "virt", "images", "network"},
}
ROOT = Path(nova_lite.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def layer_of(module: str) -> str:
    """The layer a module is in; "" for cmd, testing and the package itself."""
    within = [name for name in MAY_IMPORT if f"{module}.".startswith(f"{name}.")]
    return max(within, key=len, default="")


def imported_by(path: Path) -> Iterator[str]:
    """Our own modules that a file imports, without the name of the package."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (n.removeprefix("nova_lite.") for n in names if n.startswith("nova_lite."))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_stays_in_its_layer(path: Path) -> None:
    layer = layer_of(name_of(path))
    if layer:  # cmd puts everything together and testing takes it apart
        for module in imported_by(path):
            target = layer_of(module)
            assert target in MAY_IMPORT[layer] | {layer}, f"{layer} may not import {module}"


def test_there_are_no_cycles() -> None:
    modules = {name_of(path): path for path in MODULES}

    def target(module: str) -> str | None:
        """The module itself, or the one that defines the imported name."""
        parent = module.rpartition(".")[0]
        return module if module in modules else parent if parent in modules else None

    graph = {
        name: {
            found for module in imported_by(path) if (found := target(module)) not in (None, name)
        }
        for name, path in modules.items()
        # Imports that only type checkers follow are not there at run time.
        if "TYPE_CHECKING" not in path.read_text()
    }
    done: set[str] = set()

    def walk(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join([*above, name])
        if name not in done:
            for next_name in sorted(graph.get(name, ())):
                walk(next_name, (*above, name))
            done.add(name)

    for name in sorted(graph):
        walk(name, ())


def test_no_worker_ever_loads_the_database_and_nobody_eventlet() -> None:
    script = (
        "import sys, nova_lite.cmd.compute, nova_lite.cmd.network, nova_lite.virt.fake,"
        " nova_lite.network.linux, nova_lite.virt.libvirt.driver, nova_lite.images.cache\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('sqlalchemy', 'eventlet')))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
