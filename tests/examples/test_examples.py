"""Every example runs as its reader would run it, and prints what it promises."""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
Run = Callable[..., list[str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run an example's ``main`` in this process, which has imported much already: its lines."""

    def main(name: str, *arguments: Path) -> list[str]:
        runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](*arguments)
        return capsys.readouterr().out.splitlines()

    return main


def numbers(line: str) -> list[float]:
    return [float(x) for x in re.findall(r"[+-]?\d+\.\d+", line)]


def test_every_example_is_run_by_a_test() -> None:
    here = Path(__file__).read_text()
    scripts = sorted(p.stem for p in EXAMPLES.glob("*.py"))
    assert scripts == [
        "add_estimator",
        "add_learner",
        "evaluate_table",
        "own_night",
        "read_version",
    ]
    assert all(f'run("{name}"' in here for name in scripts)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.stem)
def test_every_example_says_how_it_is_run(path: Path) -> None:
    told = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert f".venv/bin/python examples/{path.name}" in told


def test_a_table_is_evaluated_beside_the_truth(run: Run) -> None:
    *policies, between = run("evaluate_table")
    assert len(policies) == 2
    for line in policies:
        value, lower, upper, truth = numbers(line)
        assert lower < truth < upper
        assert lower < value < upper
        assert "certified" in line
    value, lower, upper = numbers(between)
    assert lower < value < upper < 0


def test_an_estimator_is_added(run: Run) -> None:
    *estimators, truth = run("add_estimator")
    assert [line.split()[0] for line in estimators] == ["ips", "snips", "implicit_exploration"]
    (true,) = numbers(truth)
    for line in estimators[:2]:
        _, lower, upper = numbers(line)
        assert lower < true < upper
        assert line.endswith("certified")
    # Its bias is why it is refused.
    _, lower, upper = numbers(estimators[2])
    assert upper < true
    assert estimators[2].endswith("its bias has no bound")


def test_a_learner_is_added(run: Run) -> None:
    own, ours = run("add_learner")
    assert own.startswith("weighted_imitation - logger")
    assert ours.startswith("policy_gradient - logger")
    for line in (own, ours):
        value, lower, upper, truth = numbers(line)
        assert lower < value < upper
        assert lower < truth < upper
        assert truth > 0


@pytest.mark.spark
@pytest.mark.night
def test_a_night_on_ones_own_log_then_its_version_answers(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both set it for their own process.
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    told = "\n".join(run("own_night", tmp_path))
    assert "first champion: a clone of the logger" in told
    assert re.search(r'"verdict": "(promoted|refused|unchanged)"', told)
    assert "# recommender, version 2" in told
    first, *lists, last = run("read_version", tmp_path / "workspace")
    assert re.fullmatch(r"champion: version [12], of night 2026-11-1[78]", first)
    assert len(lists) == 2
    for line in lists:
        chances = [float(x) for x in re.findall(r"\((\d\.\d\d)\)", line)]
        assert len(chances) == 3
        assert all(0 < p <= 1 for p in chances)
    assert last == "MLflow answers the same: True"
