"""Data docs of judged suites: Great Expectations' pages, of texts that hold no markup.

Its templates put samples of rows, arguments and notes into the page as they are, as HTML, as
Markdown and as templates of their own. So the pages are built from copies whose every text is
plain; what was judged is not touched.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mrlm.report.visible import visible

# Pages show a longer text by its beginning; the clean tables hold it whole.
_LONGEST = 200
# Characters that begin markup, in whatever language, by their full-width forms.
_PLAIN = str.maketrans({c: chr(ord(c) + 0xFEE0) for c in "<>&\"'`$\\{}[]"})


def write_data_docs(judged: Any, folder: Path) -> None:
    """Write the pages of a Great Expectations context's suites and results.

    Args:
        judged: the context; its suites have been run.
        folder: of the pages, ``index.html`` and what it links.
    """
    import great_expectations as gx

    pages = gx.get_context(mode="ephemeral")
    pages.variables.progress_bars = {"globally": False}
    pages.add_data_docs_site(site_name="night", site_config=_site(folder))
    for suite in judged.suites.all():
        shown = plain(suite.to_json_dict())
        pages.suites.add(
            gx.ExpectationSuite(
                shown["name"],
                expectations=[{**e, "id": None} for e in shown["expectations"]],
            )
        )
    results = judged.validation_results_store
    for key in results.list_keys():
        shown = plain(json.loads(results.serialize(results.get(key))))
        pages.validation_results_store.set(key, results.deserialize(shown))
    pages.build_data_docs(site_names=["night"])


def plain(value: Any) -> Any:
    """JSON values with every text, keys included, short and free of markup."""
    if isinstance(value, str):
        return visible(value, _LONGEST).translate(_PLAIN)
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def _site(folder: Path) -> dict[str, Any]:
    return {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(folder),
        },
    }
