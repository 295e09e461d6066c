"""``mrlm`` in a process whose clock is the world's, in a file that the first argument names."""

from __future__ import annotations

import sys
from datetime import datetime, tzinfo
from pathlib import Path
from typing import ClassVar, Self
from unittest.mock import patch

from pipelines import cli
from pipelines.serving import app, current


class WorldTime(datetime):
    """A time whose now is what ``file`` says."""

    file: ClassVar[Path]

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """The world's time, which has an offset."""
        return cls.fromisoformat(cls.file.read_text()).astimezone(tz)


if __name__ == "__main__":
    WorldTime.file = Path(sys.argv.pop(1))
    # All that the server reads the clock for: which night it is, and the time of an answer.
    with patch.object(app, "datetime", WorldTime), patch.object(current, "datetime", WorldTime):
        cli.main()
