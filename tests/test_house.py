"""Counting circles of imports, on sources whose circles are known."""

from __future__ import annotations

import ast

import pytest

from benchmarks.house import in_circles


def trees(**sources: str) -> dict[str, ast.Module]:
    return {name.replace("__", ".", 1): ast.parse(text) for name, text in sources.items()}


@pytest.mark.parametrize(
    ("sources", "circles"),
    [
        ({"p__a": "import p.b", "p__b": "import numpy"}, 0),
        ({"p__a": "import p.b", "p__b": "def f():\n    from p import a"}, 2),
        ({"p__a": "from . import b", "p__b": "from .c import x", "p__c": "import p.a"}, 3),
        (
            {
                "p__a": "from .b import x",
                "p__b": "from .c import x",
                "p__c": "",
                "p__d": "import p.a",
            },
            0,
        ),
    ],
)
def test_circles(sources: dict[str, str], circles: int) -> None:
    assert in_circles(trees(**sources)) == circles


def test_a_package_that_imports_its_own_parts_is_no_circle() -> None:
    found = {
        "p.__init__": ast.parse("from .a import x\nfrom p.b import y"),
        "p.a": ast.parse("x = 1"),
        "p.b": ast.parse("from .a import x\ny = x"),
    }
    assert in_circles(found) == 0
    found["p.b"] = ast.parse("import p\ny = 1")
    assert in_circles(found) == 2
