"""Where servers write what they serve, and by which name its files are known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pipelines.settings.input_tables import InputTable
from pipelines.settings.model import Settings
from pipelines.settings.night_path import any_night
from spark_jobs.reading.sources import parse_source

PREFIX = "served-"
# What an answer's rows hold.
_COLUMNS = (
    *("request_id", "ts", "user_id", "scene", "policy_id", "position", "item_id", "propensity"),
    *("candidates", "candidate_propensities"),
)


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
    source = columns.get(name, name)
    told = parse_source(source) if isinstance(source, str) else None
    return told.path[0].name if told is not None and told.plain else name


def unread_as_impressions(table: InputTable) -> list[str]:
    """Why the settings do not read what is served as impressions; nothing where they do.

    Each is one setting, by its name in the settings, and what it asks for.
    """
    at = "inputs.impressions"
    found = [] if table.format == "json" else [f'{at}.format = "{table.format}"']
    found += [] if table.rows is None else [f'{at}.rows = "{table.rows}"']
    found += [f'{at}.where, which asks for "{path}"' for path in table.where]
    for name in _COLUMNS:
        source = table.columns.get(name, name)
        if not isinstance(source, str) or not parse_source(source).plain:
            found.append(f"{at}.columns.{name} = {json.dumps(source, ensure_ascii=False)}")
    return found


def served_files(path: str) -> list[Path]:
    """All files that servers have written below a folder with {night}, of any night."""
    pattern = Path(any_night(path)) / f"{PREFIX}*.jsonl"
    return sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
