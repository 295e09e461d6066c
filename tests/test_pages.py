"""Links of the pages hold: files, anchors, and the names of modules that they speak of."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    p for folder in (".", "docs", "docs/*", "examples") for p in sorted(ROOT.glob(f"{folder}/*.md"))
]
ALL = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.M)
FENCE = re.compile(r"^ *```.*?^ *```\s*$", re.M | re.S)


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    found: set[str] = set()
    for heading in HEADING.findall(prose(page)):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = sum(bool(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", s)) for s in found)
        found.add(slug if not number else f"{slug}-{number}")
    return found


@ALL
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            assert link.startswith("https://"), f"{page.name}: {link}"
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}: there is no {target}"
        assert target.is_relative_to(ROOT), f"{page.name}: {link} leaves the repository"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}: {sorted(anchors(target))}"


@ALL
def test_files_that_are_named_are_there(page: Path) -> None:
    """Paths of this repository in code spans, such as ``mrlm/ope/registry.py``."""
    folders = "|".join(p.name for p in ROOT.iterdir() if p.is_dir() and p.name[0] not in "._")
    for span in re.findall(r"`([^`\n]+)`", prose(page)):
        path = span.partition("::")[0].rstrip(":")
        named = re.fullmatch(rf"(?:{folders})(?:/[\w.-]+)+/?", path)
        if named and not re.search(r"NAME|workspace|build/", path):
            places = (ROOT / path, ROOT / f"{path}.py")
            assert any(p.exists() for p in places), f"{page.name}: there is no {path}"


@ALL
def test_modules_and_names_that_are_spoken_of_are_there(page: Path) -> None:
    """Code spans such as ``mrlm.ope.select``, with or without a call's brackets."""
    if page.name == "CHANGELOG.md":
        return  # It tells also of names that are gone.
    for span in re.findall(r"`(mrlm(?:\.\w+)+)[(`]", prose(page)):
        parts = span.split(".")
        # Tags and names of versions in MLflow, not Python.
        if span in {"mrlm.toml", "mrlm.ledger", "mrlm.content"}:
            continue
        thing: object = importlib.import_module(parts[0])
        for i, part in enumerate(parts[1:], 2):
            try:
                thing = getattr(thing, part)
            except AttributeError:
                thing = importlib.import_module(".".join(parts[:i]))


def test_the_site_shows_every_page_and_no_other() -> None:
    config = (ROOT / "mkdocs.yml").read_text()
    shown = set(re.findall(r"[ -] (?:[^:\n]+: )?([\w/.-]+\.md)$", config, re.M))
    made = {f"reference/{name}.md" for name in ("settings", "commands", "library")}
    beside = {"index.md", "CONTRIBUTING.md", "CHANGELOG.md"}
    docs = {str(p.relative_to(ROOT / "docs")) for p in (ROOT / "docs").rglob("*.md")}
    assert shown == docs | made | beside


def test_reference_pages_are_made_from_the_program(tmp_path: Path) -> None:
    import mrlm
    from infra import docs_pages
    from pipelines.cli import app

    docs_pages.main(tmp_path / "site")
    reference = tmp_path / "site" / "reference"
    settings = (reference / "settings.md").read_text()
    assert "| `level` | float, > 0.5, < 1 | `0.95` |" in settings
    commands = (reference / "commands.md").read_text()
    for command in app.registered_commands:
        name = command.name or str(getattr(command.callback, "__name__", ""))
        assert f"## mrlm {name}\n" in commands
    for name in ("check", "convert"):
        assert f"## mrlm logs {name}\n" in commands
    library = (reference / "library.md").read_text()
    for name in mrlm.__all__:
        (where,) = re.findall(rf"^::: (mrlm[\w.]*)\.{name}$", library, re.M)
        assert hasattr(importlib.import_module(where), name)
    # Links of moved pages were moved with them.
    tour = (tmp_path / "site" / "tour.md").read_text()
    assert "(examples/tour.ipynb)" in tour
    assert "(index.md#bring-your-own-logs)" in (tmp_path / "site" / "logs.md").read_text()


def test_lint_hooks_are_those_of_make() -> None:
    make = (ROOT / "Makefile").read_text()
    hooks = re.findall(r"entry: \.venv/bin/(\S+)", (ROOT / ".pre-commit-config.yaml").read_text())
    parts = re.findall(r"\$\(MAKE\).*--jobs 2 (.+)$", make.split("\nlint:")[1], re.M)[0].split()
    rules = [make.split(f"\n{part}:")[1].split("\n\n")[0] for part in parts]
    linted = re.findall(r"^\t\.venv/bin/(\S+)", "\n".join(rules), re.M)
    assert sorted(hooks) == sorted(linted)


def test_every_target_is_told_by_make_help() -> None:
    make = (ROOT / "Makefile").read_text()
    phony = make.split(".PHONY:")[1].replace("\\\n", " ").split("\n")[0].split()
    assert sorted(phony) == sorted(re.findall(r"^([a-z-]+):.*## \S", make, re.M))
