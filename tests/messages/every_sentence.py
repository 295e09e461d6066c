"""Every sentence of the sources: what ``Message`` and the templates' ``_`` are given."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, nodes

ROOMS = ("mrlm", "pipelines", "dags")


def sentences() -> dict[str, str]:
    """Template to where it stands, of all messages that the program can make."""
    found: dict[str, str] = {}
    for room in ROOMS:
        for path in sorted(Path(room).rglob("*.py")):
            for line, template in _of_module(path):
                found.setdefault(template, f"{path}:{line}")
    for path in pages():
        for call in _parsed(path).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "_":
                found.setdefault(_constant(call, path), f"{path}:{call.lineno}")
    return found


def pages() -> list[Path]:
    """The templates of pages whose words are all given to ``_``."""
    return [
        path
        for path in sorted(Path("mrlm/report").glob("*.j2"))
        if "{{ language }}" in path.read_text() or "_page" not in path.name
    ]


def words_of(path: Path) -> Iterator[str]:
    """What a template writes itself, between tags."""
    for data in _parsed(path).find_all(nodes.TemplateData):
        yield data.data


def _parsed(path: Path) -> nodes.Template:
    return Environment(autoescape=True).parse(path.read_text())


def _constant(call: nodes.Call, path: Path) -> str:
    first = call.args[0]
    assert isinstance(first, nodes.Const), f"{path}:{call.lineno}: no constant"
    return str(first.value)


def _of_module(path: Path) -> Iterator[tuple[int, str]]:
    for call in ast.walk(ast.parse(path.read_text())):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        if call.func.id in ("Message", "Joined") and path.parts[:2] != ("mrlm", "messages"):
            assert isinstance(call.args[0], ast.Constant), f"{path}:{call.lineno}: no constant"
            yield call.lineno, str(call.args[0].value)
