"""The notebook runs from its first cell to its last, and lies in the repository without outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

TOUR = Path(__file__).resolve().parents[2] / "examples" / "tour.ipynb"


def test_no_output_is_stored() -> None:
    cells = nbformat.read(TOUR, as_version=4).cells
    code = [c for c in cells if c.cell_type == "code"]
    assert code
    assert not any(c.outputs or c.execution_count for c in code)


def test_it_runs_and_shows_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What Jupyter and IPython keep of a user goes there.
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    book = nbformat.read(TOUR, as_version=4)
    ran = NotebookClient(book, timeout=600, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [o for c in ran.cells if c.cell_type == "code" for o in c.outputs]
    assert sum("image/png" in o.get("data", {}) for o in outputs) == 3
    told = "".join(o.text for o in outputs if o.output_type == "stream")
    assert "uniform         snips  certified" in told
    assert "sharper logger - uniform" in told
