"""No module is kept alive by its tests alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from mrlm.ope import FAMILY
from pipelines.stages import ORDER

ROOT = Path(__file__).parents[1]
PACKAGES = ("mrlm", "pipelines", "spark_jobs")
CALLERS = (*PACKAGES, "dags", "infra")

# Run or imported by name, at the place that is given.
STARTED = {
    "mrlm.promotion.reproduce": "a fresh process, by the code of a stored version",
    "mrlm.promotion.serving.served_model": "MLflow, as the code of a model",
    "pipelines.local.warm": "python -m, for the demonstration's tasks",
    **{f"pipelines.stages.{name}": "pipelines.stages.stage_named" for name in ORDER},
    **{type(e).__module__: "mrlm.ope.registry" for e in FAMILY.values()},
}

# For people: what no command needs and a package exports, or the documentation describes.
PUBLIC = {
    "mrlm.behaviour.item_ridge": "docs/ope.md",
    "mrlm.learners.policy": "mrlm",
    "mrlm.meta.problem.later_rewards": "docs/meta.md",
    "mrlm.ope.choice.selected": "mrlm.ope",
    "mrlm.ope.choice.shrinkage_bias": "mrlm.ope",
    "mrlm.ope.embedded.clusters": "mrlm.ope.embedded",
    "mrlm.ope.embedded.direct_effect": "mrlm.ope.embedded",
    "mrlm.ope.embedded.posterior": "mrlm.ope.embedded",
    "mrlm.ope.estimand": "mrlm.ope",
    "mrlm.ope.intervals.registry": "mrlm.ope",
    "mrlm.ope.intervals.simultaneous": "mrlm.ope",
    "mrlm.ope.propensity.complete": "mrlm.ope.propensity",
    "mrlm.ope.sequential.fitted_q": "mrlm.ope.sequential",
    "mrlm.ope.sequential.registry": "mrlm.ope.sequential",
    "mrlm.ope.sequential.state_marginal": "mrlm.ope.sequential",
    "mrlm.worlds.latent": "mrlm",
    "mrlm.worlds.live_replay": "docs/loop.md",
    "mrlm.worlds.tabular.exact_solution": "mrlm.worlds.tabular",
    "mrlm.worlds.tabular.small_models": "mrlm.worlds.tabular",
    "mrlm.worlds.tabular.tabular_log": "mrlm.worlds.tabular",
    "mrlm.worlds.weighing.best_weights": "mrlm.worlds.weighing",
    "mrlm.worlds.weighing.late_north_star": "mrlm.worlds.weighing",
    "mrlm.worlds.weighing.segmented_world": "mrlm.worlds.weighing",
    "spark_jobs.evaluate": "docs/ope.md",
}


def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, ""
        elif isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                yield node.module, name.name


def called() -> set[str]:
    """Modules that another one imports, by themselves or by a name that their package passes on."""
    known = modules()
    passed_on = {
        (package, name): module
        for package, path in known.items()
        if path.name == "__init__.py"
        for module, name in imports_of(path)
        if module in known
    }
    found = set()
    for folder in CALLERS:
        for path in (ROOT / folder).rglob("*.py"):
            if path.name == "__init__.py":
                continue
            for module, name in imports_of(path):
                # A package may pass on what another package passes on.
                while (module, name) in passed_on:
                    found.add(module)
                    module = passed_on[module, name]
                for target in (module, f"{module}.{name}"):
                    if target in known and known[target] != path:
                        found.add(target)
    return found


def test_every_module_has_a_caller_that_is_no_test() -> None:
    alone = {m for m, path in modules().items() if path.name != "__init__.py"} - called()
    assert alone - set(STARTED) == set(PUBLIC)


def test_what_is_started_by_name_is_there() -> None:
    assert set(STARTED) <= set(modules())


@pytest.mark.parametrize("module", PUBLIC)
def test_what_is_public_has_a_door(module: str) -> None:
    door = PUBLIC[module]
    if door.endswith(".md"):
        assert module in (ROOT / door).read_text()
        return
    assert set(import_module(door).__all__) & set(names_in(modules()[module]))


def names_in(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
