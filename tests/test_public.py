"""The library's front door: what ``mrlm`` exports, its examples, and what the docs import."""

from __future__ import annotations

import ast
import doctest
import inspect
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mrlm

ROOT = Path(__file__).resolve().parents[1]
OURS = ("mrlm", "pipelines", "spark_jobs")


def attribute_docstring(name: str) -> str:
    """The string below the assignment of a module's constant: Python keeps none of its own."""
    found = []
    for path in sorted((ROOT / "mrlm").rglob("*.py")):
        text = path.read_text()
        if name not in text:
            continue
        body = ast.parse(text).body
        for statement, after in itertools.pairwise(body):
            targets = getattr(statement, "targets", [getattr(statement, "target", None)])
            named = any(isinstance(t, ast.Name) and t.id == name for t in targets)
            if named and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found.append(inspect.cleandoc(str(after.value.value)))
    assert len(found) == 1, f"{name} is documented in {len(found)} places"
    return found[0]


def docstring(name: str) -> str:
    thing = getattr(mrlm, name)
    documented = inspect.isclass(thing) or inspect.isroutine(thing)
    return (inspect.getdoc(thing) or "") if documented else attribute_docstring(name)


@pytest.mark.parametrize("name", mrlm.__all__)
def test_every_exported_name_has_an_example_that_runs(name: str) -> None:
    text = docstring(name)
    assert "Examples:\n" in text, f"{name} has no example"
    assert "from mrlm import" in text, f"the example of {name} comes in by another door"
    example = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    assert example.examples
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    failed, tried = runner.run(example)
    assert (failed, tried) == (0, len(example.examples))


def test_the_names_that_are_exported_are_those_that_are_typed() -> None:
    tree = ast.parse((ROOT / "mrlm" / "__init__.py").read_text())
    (typed,) = (s for s in tree.body if isinstance(s, ast.If))
    names = {a.name for s in typed.body if isinstance(s, ast.ImportFrom) for a in s.names}
    assert names == set(mrlm.__all__)
    assert names <= set(dir(mrlm))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        mrlm.Nothing  # noqa: B018 - looked up for its error


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, mrlm; print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "scipy", "pyarrow", "pandas", "torch", "mlflow", "pyspark", "pydantic"}
    assert not heavy & set(done.stdout.split())


def imports_of(tree: ast.AST) -> list[tuple[str, str | None]]:
    """(module, name) of every import of ours; None where the module itself is imported."""
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [(node.module, a.name) for a in node.names]
        elif isinstance(node, ast.Import):
            found += [(a.name, None) for a in node.names]
    return [(m, n) for m, n in found if m.partition(".")[0] in OURS]


def test_our_own_modules_do_not_import_through_the_front_door() -> None:
    """A registered version's copy of the code, and a stage's imports, stay as small as they are."""
    for folder in (*OURS, "dags"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text())
            names = {None, *mrlm.__all__}
            through = [n for m, n in imports_of(tree) if m == "mrlm" and n in names]
            assert not through, f"{path}: import {through} from its own room"


def pages() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    out: list[str] = []
    inside: list[str] | None = None
    for line in page.read_text().splitlines():
        if inside is None and line.strip() == f"```{language}":
            inside = []
        elif inside is not None and line.strip() == "```":
            out.append("\n".join(inside))
            inside = None
        elif inside is not None:
            inside.append(line)
    return out


def shown_code() -> Iterator[tuple[str, str]]:
    """(where, code) of all Python that pages and examples show."""
    for page in pages():
        yield from ((page.name, block) for block in blocks(page, "python"))
    for script in sorted((ROOT / "examples").glob("*.py")):
        yield script.name, script.read_text()
    for book in sorted((ROOT / "examples").glob("*.ipynb")):
        cells = json.loads(book.read_text())["cells"]
        yield from ((book.name, "".join(c["source"])) for c in cells if c["cell_type"] == "code")


def test_what_pages_and_examples_import_of_the_library_is_exported() -> None:
    """By the front door, or by a package's ``__all__``: never by a module's chance."""
    told = set()
    for where, code in shown_code():
        for module, name in imports_of(ast.parse(code)):
            told.add(where)
            found = __import__(module, fromlist=["*"])
            assert name is None or hasattr(found, name), f"{where}: {module} has no {name}"
            if name is not None and module.partition(".")[0] == "mrlm":
                assert name in getattr(found, "__all__", ()), f"{where}: {module}.{name}"
    assert told >= {"tour.md", "tour.ipynb", "add_estimator.py", "add_learner.py"}
