"""How the code is built, counted in the files of this project and of three others.

The others are read from checkouts under ``benchmarks/.peers`` (``make bench-house`` clones them);
what is not there is left out. Vendored packages and templates count for nobody.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from benchmarks.rows import Row

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "benchmarks" / ".peers"
_LEFT_OUT = {"_vendor", "templates", "__pycache__"}


@dataclass(frozen=True)
class House:
    """A project's files.

    Attributes:
        folder: that its packages lie in.
        packages: folders of its code.
        tests: folder of its tests.
    """

    folder: Path
    packages: tuple[str, ...]
    tests: str


OURS = House(ROOT, ("mrlm", "pipelines", "spark_jobs"), "tests")
OTHERS = {
    "d3rlpy": House(PEERS / "d3rlpy", ("d3rlpy",), "tests"),
    "kedro": House(PEERS / "kedro", ("kedro",), "tests"),
    "metaflow": House(PEERS / "metaflow", ("metaflow",), "test"),
}


def run(quick: bool) -> list[Row]:
    """A row a measure and peer; quick is the same, since files are all that is read."""
    del quick
    ours = measured(OURS)
    rows = []
    for name, other in OTHERS.items():
        theirs = measured(other) if other.folder.is_dir() else dict.fromkeys(ours)
        for measure, value in ours.items():
            circles = measure == "modules in circles of imports"
            rows.append(
                Row(
                    f"{measure}: {name}",
                    value or 0.0,
                    theirs[measure],
                    bar="0",
                    holds=value == 0,
                    note="" if other.folder.is_dir() else f"no checkout at {other.folder}",
                ).where(circles)
            )
    return rows


def measured(house: House) -> dict[str, float | None]:
    """The counts of one project."""
    sources = {
        ".".join(path.relative_to(house.folder).with_suffix("").parts): path.read_text()
        for package in house.packages
        for path in _python(house.folder / package)
    }
    trees = {name: tree for name, text in sources.items() if (tree := _parsed(text)) is not None}
    lines = {name: text.count("\n") for name, text in sources.items()}
    public = [
        node
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    ]
    told = sum(ast.get_docstring(node) is not None for node in public)
    tests = sum(path.read_text().count("\n") for path in _python(house.folder / house.tests))
    return {
        "modules in circles of imports": float(in_circles(trees)),
        "lines of the largest module": float(max(lines.values())),
        "public definitions with a docstring, %": 100 * told / len(public),
        "lines of tests for a line of code": tests / sum(lines.values()),
    }


def in_circles(trees: dict[str, ast.Module]) -> int:
    """Modules that import themselves by way of others, at the top or inside functions."""
    names = {name.removesuffix(".__init__"): i for i, name in enumerate(trees)}
    edges = [
        (names[name.removesuffix(".__init__")], names[target])
        for name, tree in trees.items()
        for target in _imports(name, tree, names)
    ]
    if not edges:
        return 0
    start, end = np.array(edges).T
    graph = coo_array((np.ones(len(edges)), (start, end)), shape=(len(names), len(names)))
    _, component = connected_components(graph, connection="strong")
    return int((np.bincount(component)[component] > 1).sum())


def _imports(name: str, tree: ast.Module, names: dict[str, int]) -> set[str]:
    own = name.removesuffix(".__init__")
    # A dot in a package's __init__ is the package itself.
    package = own.split(".") if name.endswith(".__init__") else own.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                found.add(inner if inner in names else source)
    return {target for target in found if target in names and target != own}


def _python(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*.py") if not _LEFT_OUT & set(p.parts))


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except SyntaxError:
        # Written for a templating language.
        return None
