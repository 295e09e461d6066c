"""Where servers write what they serve, and by which name its files are known."""

from __future__ import annotations

from pathlib import Path

from pipelines.settings.model import Settings
from pipelines.settings.night_path import any_night

PREFIX = "served-"


def served_path(settings: Settings, root: Path) -> str:
    """Folder with {night} that what is served is written to; ``root``: of the workspace."""
    return settings.serving.log_path or str(root / "served" / "dt={night}")


def served_files(path: str) -> list[Path]:
    """All files that servers have written below a folder with {night}, of any night."""
    pattern = Path(any_night(path)) / f"{PREFIX}*.jsonl"
    return sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
