"""What the doctor says of the behaviour model, of nights that exist as manifests alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mrlm.behaviour.settings import BehaviourSettings
from pipelines.care import behaviour_advice
from pipelines.failures.errors import DamagedError
from pipelines.nights import lake as lake_module
from pipelines.settings.split import Split


def told(
    monkeypatch: pytest.MonkeyPatch,
    decisions: int,
    items: int,
    fit_decisions: int = 0,
    **behaviour: Any,
) -> tuple[bool, str]:
    counts = {
        "build_log": {"nights": {"a": {"decisions": 5}, "b": {"decisions": decisions}}},
        "embed": {"items": items},
    }

    def lake(stage: str, night: str) -> Any:
        made = SimpleNamespace(counts=counts[stage])
        return SimpleNamespace(require=lambda: made, manifest=lambda: made)

    settings: Any = SimpleNamespace(
        behaviour=BehaviourSettings(**behaviour),
        split=Split(fit_nights=1, fit_decisions=fit_decisions),
        state=SimpleNamespace(history_length=200),
    )
    context = SimpleNamespace(settings=settings, lake=lake)
    monkeypatch.setattr(behaviour_advice, "contexts_of", lambda _: [context])
    built = {"a": ("b", "night=a"), "b": ("b", "night=b")}
    for module in (behaviour_advice, lake_module):
        monkeypatch.setattr(module, "built_logs", lambda _: built)
    monkeypatch.setattr(behaviour_advice, "newest_embedded", lambda _: "b")
    return behaviour_advice.advice(settings)


def test_it_reads_the_nights_that_may_be_fitted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    well, text = told(monkeypatch, 1000, 400)
    assert well
    assert text.startswith("1000 rows, 400 items, ")
    assert " history (at most about 1 minutes" in text


def test_no_more_rows_are_fitted_on_than_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, 1000, 400, 600)[1].startswith("600 rows, 400 items, ")


def test_a_cheaper_model_than_advised_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    well, text = told(monkeypatch, 1000, 400, model="pair")
    assert well
    assert "history" in text
    assert "the settings say pair" in text


def test_a_log_that_fits_if_histories_are_short_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = SimpleNamespace(total=2 * 16 * 2**30)
    monkeypatch.setattr(behaviour_advice.psutil, "virtual_memory", lambda: memory)
    well, text = told(monkeypatch, 800_000, 400, model="pair")
    assert well
    assert "none (at most" in text


def test_of_a_language_model_the_tunings_are_not_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "and what its tunings take" in told(monkeypatch, 1000, 400, model="language")[1]


def test_a_log_that_is_too_large_is_bad_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    well, text = told(monkeypatch, 10**12, 400)
    assert not well
    assert "lower split.fit_nights" in text


def test_without_a_log_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no log" in told(monkeypatch, 0, 400)[1]

    def broken(_: Any) -> Any:
        raise DamagedError("a file")

    told(monkeypatch, 10, 400)
    monkeypatch.setattr(behaviour_advice, "built_logs", broken)
    settings: Any = SimpleNamespace(behaviour=BehaviourSettings())
    assert behaviour_advice.advice(settings) == (
        True,
        "history; the newest log cannot be read, see 'files'",
    )
