"""Where servers write what they serve, and by which name its files are known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pipelines.settings.model import Settings
from pipelines.settings.night_path import any_night

PREFIX = "served-"
_NAME = re.compile(r"\w+")


def served_path(settings: Settings, root: Path) -> str:
    """Folder with {night} that what is served is written to; ``root``: of the workspace."""
    return settings.serving.log_path or str(root / "served" / "dt={night}")


def served_column(name: str, columns: Mapping[str, object]) -> str:
    """What the server calls a column of its log.

    Args:
        name: of the contract.
        columns: of the settings' table of impressions: contract name to the name in the file, or to
            what else a value is read from. Only a name can be written to; the other columns keep
            their contract names.
    """
    source = columns.get(name)
    return source if isinstance(source, str) and _NAME.fullmatch(source) else name


def served_files(path: str) -> list[Path]:
    """All files that servers have written below a folder with {night}, of any night."""
    pattern = Path(any_night(path)) / f"{PREFIX}*.jsonl"
    return sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
