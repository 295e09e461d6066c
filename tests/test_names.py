"""One word, one meaning: of classes, and of files."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("mrlm", "pipelines", "spark_jobs")

# Files of one name have one role, each in its own room; docs/architecture.md holds the same list.
SAME_ROLE: dict[str, tuple[str, set[str]]] = {
    "batch": (
        "what an estimator reads of a log: decisions, slates, sessions",
        {"mrlm/ope", "mrlm/ope/slates", "mrlm/ope/sequential"},
    ),
    "contract": (
        "what every member of the room offers",
        {
            "mrlm/behaviour",
            "mrlm/embeddings",
            "mrlm/learners",
            "mrlm/learners/baselines",
            "mrlm/meta/problem",
            "mrlm/meta/strategies",
            "mrlm/policies",
            "mrlm/ope",
            "mrlm/ope/intervals",
            "mrlm/ope/sequential",
            "mrlm/ope/slates",
        },
    ),
    "registry": (
        "the room's members by name",
        {
            "mrlm/learners",
            "mrlm/learners/baselines",
            "mrlm/meta/strategies",
            "mrlm/ope",
            "mrlm/ope/intervals",
            "mrlm/ope/sequential",
            "mrlm/ope/slates",
        },
    ),
    "settings": (
        "the room's part of the settings",
        {"mrlm/behaviour", "mrlm/embeddings", "mrlm/learners", "mrlm/meta", "mrlm/promotion"},
    ),
    "errors": (
        "the errors that the room raises",
        {"pipelines/settings", "pipelines/failures", "spark_jobs/contract"},
    ),
    "storage": (
        "saving to a folder and loading",
        {"mrlm/behaviour/ensemble", "mrlm/policies", "mrlm/learners"},
    ),
    "network": ("the room's neural network", {"mrlm/behaviour/networks", "mrlm/learners"}),
    "objectives": (
        "objectives: what they are, and the demonstration's",
        {"mrlm/bandit_log", "mrlm/worlds"},
    ),
    "dr": (
        "doubly robust: of decisions, of sessions",
        {"mrlm/ope/estimators", "mrlm/ope/sequential"},
    ),
    "evaluate": (
        "every estimate: of a table, of a Spark table, of a night",
        {"mrlm/ope/table", "spark_jobs", "pipelines/stages"},
    ),
    "feedback": (
        "the table of feedback: read, and expected of it",
        {"spark_jobs/tables", "pipelines/expectations"},
    ),
    "impressions": (
        "the table of impressions: read, and expected of it",
        {"spark_jobs/tables", "pipelines/expectations"},
    ),
    "items": (
        "the table of items: read, and expected of it",
        {"spark_jobs/tables", "pipelines/expectations"},
    ),
    "build_log": ("a stage, and the Spark job it runs", {"pipelines/stages", "spark_jobs"}),
    "ingest": ("a stage, and the Spark job it runs", {"pipelines/stages", "spark_jobs"}),
    "gate": (
        "a stage, and the library's part of it",
        {"pipelines/stages", "mrlm/promotion/judgement"},
    ),
    "promote": (
        "a stage, and the library's part of it",
        {"pipelines/stages", "mrlm/promotion/moves"},
    ),
    "upgrade": (
        "a command, and the library's part of it",
        {"pipelines/commands", "mrlm/promotion/moves"},
    ),
    "champion": (
        "the champion: in the registry, and as a night reads it",
        {"mrlm/promotion/registry", "pipelines/nights"},
    ),
    "truth": (
        "true values of a known world: computed, and printed beside estimates",
        {"mrlm/worlds", "pipelines/care"},
    ),
}


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT)


def test_no_two_public_classes_have_one_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in sources():
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{path}:{node.lineno}")
    assert len(places) > 200
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_files_of_one_name_have_one_role_in_different_rooms() -> None:
    rooms: dict[str, set[str]] = defaultdict(set)
    for path in sources():
        if path.name != "__init__.py":
            rooms[path.stem].add(path.parent.as_posix())
    shared = {name: found for name, found in rooms.items() if len(found) > 1}
    assert shared == {name: found for name, (_, found) in SAME_ROLE.items()}
