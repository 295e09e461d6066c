from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipelines.nights.workspaces import Made


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """An empty workspace."""
    return Made(tmp_path)
