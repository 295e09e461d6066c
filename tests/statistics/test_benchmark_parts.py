"""Every module that counts as a part of the benchmark of evaluation can be run as one."""

from __future__ import annotations

import importlib

import pytest

from benchmarks import ope


@pytest.mark.parametrize("name", ope.parts())
def test_a_part_can_be_run(name: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.ope.{name}").run)
