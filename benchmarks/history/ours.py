"""``mrlm history`` over all nights of a folder; ``python -m benchmarks.history.ours folder``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.ingest._process import finish
from pipelines.cli import main as mrlm
from pipelines.contract.context import NightContext
from pipelines.contract.workspace import Workspace
from pipelines.settings.load import load_settings


def main() -> None:
    """Run the command and print what it cost."""
    folder = Path(sys.argv[1])
    os.environ["MRLM_USER_KEY"] = "key of a benchmark"
    finish(lambda: _read(folder))


def _read(folder: Path) -> dict[str, Any]:
    settings = folder / "mrlm.toml"
    nights = sorted(p.name.removeprefix("dt=") for p in (folder / "raw/impressions").iterdir())
    sys.argv = ["mrlm", "history", nights[0], nights[-1], "--settings", str(settings)]
    code: str | int | None = 0
    try:
        mrlm()
    except SystemExit as ended:
        code = ended.code
    loaded = load_settings(settings)
    stopped = []
    for night in nights:
        verdict = NightContext(night, loaded, Workspace(loaded.workspace)).lake("validate")
        if (found := verdict.manifest()) is None or found.stopped:
            stopped.append(night)
    return {"code": code, "nights": len(nights), "stopped": stopped}


if __name__ == "__main__":
    main()
