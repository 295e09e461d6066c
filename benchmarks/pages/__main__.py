"""Write the planted pages: ``python -m benchmarks.pages FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.pages.planted import pages

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in pages().items():
        (folder / f"{name}.html").write_text(page)
