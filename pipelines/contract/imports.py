"""Which source files a module imports, found in the sources alone: nothing is run.

The rules are those of ``code_version``.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

PACKAGES = ("mrlm", "pipelines", "spark_jobs")
SUFFIXES = frozenset({".py", ".j2", ".toml"})

# Stages run in threads beside each other, and where two make trees at a time, Python 3.11 fails
# with "AST constructor recursion depth mismatch" (CPython issue 106905).
_parsing = Lock()

# What looks a module up by a name that only running it tells.
_BY_NAME = re.compile(r"\b(import_module|__import__)\(")


@dataclass(frozen=True)
class _Step:
    """A module that counts.

    Attributes:
        module: its name.
        used: something of it is used; otherwise it is an ``__init__`` on the way to one that is.
    """

    module: str
    used: bool


@dataclass(frozen=True)
class _Taken:
    """One name that a module imports.

    Attributes:
        source: the module after ``from`` or ``import``.
        name: what is taken from it; "" for the module itself.
        bound: what it is called afterwards.
        typing: whether only a type checker sees it.
    """

    source: str
    name: str
    bound: str
    typing: bool


@dataclass
class Sources:
    """The packages below a folder, each file read and parsed once.

    Attributes:
        root: the folder.
        packages: that count.
    """

    root: Path
    packages: tuple[str, ...] = PACKAGES
    _paths: dict[str, Path | None] = field(default_factory=dict)
    _texts: dict[Path, str] = field(default_factory=dict)
    _imports: dict[Path, tuple[_Taken, ...]] = field(default_factory=dict)

    def of(self, module: str) -> dict[str, str]:
        """Every file that counts for a module, by its path below the folder, and what it holds.

        Args:
            module: its name. One that is none of the packages' has to be imported already.

        Raises:
            ModuleNotFoundError: the module has no source file.
        """
        todo, seen = [_Step(module, used=True)], set[_Step]()
        if self._path(module) is None:
            self._paths[module] = _file_of(module)
        while todo:
            step = todo.pop()
            if step not in seen and self._path(step.module) is not None:
                seen.add(step)
                todo += self._next(step)
        found = {p for s in seen if (p := self._path(s.module)) is not None}
        found |= {p for s in seen if s.used for p in self._named_files(s.module)}
        return {self._name(p): self._text(p) for p in sorted(found)}

    def _next(self, step: _Step) -> Iterator[_Step]:
        parts = step.module.split(".")
        for i in range(1, len(parts)):
            yield _Step(".".join(parts[:i]), used=False)
        if not step.used:
            return
        for taken in self._taken(step.module):
            if not taken.typing:
                yield from self._meant(taken)
        path = self._path(step.module)
        if path is not None and _BY_NAME.search(self._text(path)):
            yield from self._whole(path.parent)

    def _meant(self, taken: _Taken) -> Iterator[_Step]:
        """The modules that an import is of."""
        source, name = taken.source, taken.name
        inner = f"{source}.{name}"
        if name and self._path(inner) is not None:
            yield _Step(inner, used=True)
            return
        path = self._path(source)
        offered = [t for t in self._taken(source) if name and t.bound == name]
        if path is not None and path.name == "__init__.py" and offered:
            yield _Step(source, used=False)
            for other in offered:
                yield from self._meant(replace(other, typing=False))
        else:
            yield _Step(source, used=True)

    def _whole(self, package: Path) -> Iterator[_Step]:
        for path in package.rglob("*.py"):
            parts = path.relative_to(self.root).with_suffix("").parts
            yield _Step(".".join(parts[:-1] if parts[-1] == "__init__" else parts), used=True)

    def _named_files(self, module: str) -> Iterator[Path]:
        """Files beside a module that are no Python and that it names."""
        path = self._path(module)
        if path is not None:
            for other in path.parent.iterdir():
                if other.suffix in SUFFIXES - {".py"} and other.name in self._text(path):
                    yield other

    def _path(self, module: str) -> Path | None:
        """Source file of a module; None where it is none of the packages'."""
        if module not in self._paths:
            place = self.root.joinpath(*module.split("."))
            ours = module.partition(".")[0] in self.packages
            files = (place / "__init__.py", place.with_name(f"{place.name}.py")) if ours else ()
            self._paths[module] = next((p for p in files if p.is_file()), None)
        return self._paths[module]

    def _name(self, path: Path) -> str:
        below = path.is_relative_to(self.root)
        return path.relative_to(self.root).as_posix() if below else path.name

    def _text(self, path: Path) -> str:
        if path not in self._texts:
            self._texts[path] = path.read_text(encoding="utf-8")
        return self._texts[path]

    def _taken(self, module: str) -> tuple[_Taken, ...]:
        path = self._path(module)
        if path is None:
            return ()
        if path not in self._imports:
            here = module.split(".")
            package = here if path.name == "__init__.py" else here[:-1]
            with _parsing:
                body = ast.parse(self._text(path)).body
            self._imports[path] = tuple(_taken(body, package))
        return self._imports[path]


def _file_of(module: str) -> Path:
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        raise ModuleNotFoundError(f"module {module!r} has no source file")
    return Path(file)


def _taken(body: list[ast.stmt], package: list[str], typing: bool = False) -> Iterator[_Taken]:
    """What these statements import, and the blocks and functions in them."""
    for node in body:
        if isinstance(node, ast.Import):
            for a in node.names:
                yield _Taken(a.name, "", a.asname or a.name, typing)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for a in node.names:
                yield _Taken(source, a.name, a.asname or a.name, typing)
        else:
            checked = isinstance(node, ast.If) and _is_type_checking(node.test)
            for block in ("body", "orelse", "finalbody", "handlers", "cases"):
                hidden = typing or (checked and block == "body")
                yield from _taken(getattr(node, block, []), package, hidden)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"
