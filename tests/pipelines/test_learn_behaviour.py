"""The stage with a language model, without a night: what it hands on can be learned from."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog
from mrlm.behaviour.ensemble.storage import load_reward_model
from mrlm.behaviour.language_settings import LanguageSettings
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.learners.inputs import learning_sample
from mrlm.learners.settings import LearningSettings
from mrlm.report.facts import NightFacts
from mrlm.report.review_page import render_review_page
from pipelines.settings.split import Split
from pipelines.stages import learn_behaviour
from tests.report.test_review_page import BARE


def settings(small_bert: Path) -> BehaviourSettings:
    language = LanguageSettings(
        model=str(small_bert),
        trained_layers=1,
        rank=2,
        rows=24,
        head_steps=5,
        epochs=1,
        max_tokens=12,
        entries=1,
        entry_characters=4,
    )
    return BehaviourSettings(
        model="language",
        folds=2,
        components=4,
        hidden=8,
        projection=4,
        epochs=1,
        language=language,
    )


def test_a_language_model_is_fitted_reported_and_handed_on(
    fit_log: BanditLog, small_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = ["2026-11-09", "2026-11-10"]
    monkeypatch.setattr(
        learn_behaviour,
        "read_logs",
        lambda _, of, together=None: fit_log.on_nights(of).take(np.arange(500)),
    )
    monkeypatch.setattr(learn_behaviour, "shown_nights", lambda *_: None)
    behaviour, kept = settings(small_bert), tmp_path / "checkpoints"
    language = behaviour.language.model_copy(update={"checkpoints": str(kept)})
    behaviour = behaviour.model_copy(update={"language": language})
    context: Any = SimpleNamespace(
        run_key="2026-11-11-1f2e3d4c",
        settings=SimpleNamespace(behaviour=behaviour, split=Split(), seed=1),
        progress=lambda *_: None,
        log=logging.getLogger,
    )
    plan: Any = SimpleNamespace(fit=nights[:1], tune=nights[1:], gate=[])
    product = learn_behaviour.STAGE.run(context, plan, tmp_path)
    model = load_reward_model(tmp_path / product.outputs["reward_model"])
    report = json.loads((tmp_path / product.outputs["report"]).read_text())
    assert model.kind == "language"
    curves = json.loads(json.dumps(product.counts["curves"]))
    assert sorted(curves) == ["0/held_back_loss", "0/loss", "1/held_back_loss", "1/loss"]
    assert [step for step, _ in curves["1/held_back_loss"]] == [1]
    # Some were written, and none is left.
    assert list(kept.iterdir()) == []
    assert report["like"]["rows"] == 500
    log = fit_log.on_nights(nights[:1]).take(np.arange(60))
    sample = learning_sample(log, model, {"like": 1.0}, LearningSettings(), seed=0)
    assert np.isfinite(sample.inputs.value).all()


def test_a_student_is_handed_on_alone_with_what_it_lost(
    fit_log: BanditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = ["2026-11-09", "2026-11-10"]
    monkeypatch.setattr(
        learn_behaviour, "read_logs", lambda _, of, together=None: fit_log.on_nights(of)
    )
    monkeypatch.setattr(
        learn_behaviour, "read_completed", lambda _, of: (fit_log.on_nights(of), None)
    )
    monkeypatch.setattr(learn_behaviour, "shown_nights", lambda *_: None)
    small = {"folds": 2, "components": 4, "hidden": 8, "projection": 4, "epochs": 1}
    context: Any = SimpleNamespace(
        run_key="2026-11-11-1f2e3d4c",
        settings=SimpleNamespace(
            behaviour=BehaviourSettings(**small, distil=0.5), split=Split(), seed=1
        ),
        progress=lambda *_: None,
        log=logging.getLogger,
    )
    plan: Any = SimpleNamespace(fit=nights[:1], tune=nights[1:], gate=[])
    product = learn_behaviour.STAGE.run(context, plan, tmp_path)
    folder = tmp_path / product.outputs["reward_model"]
    assert load_reward_model(folder).kind == "reward_model"
    assert sorted(f.name for f in folder.iterdir()) == ["model.json", "model.safetensors"]
    lost = json.loads(json.dumps(product.counts["distillation"]))
    assert [m["measure"] for m in lost] == ["auc", "log_loss", "value"]
    assert lost[0]["student"] == product.counts["heads"]["like"]["auc"]
    assert json.loads((tmp_path / "report.json").read_text())["distillation"] == lost
    shown = NightFacts(distillation=lost)
    assert "pair alone" in render_review_page(BARE, None, shown)


def test_an_alternative_that_predicts_better_is_the_next_night_s_model(
    fit_log: BanditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = ["2026-11-09", "2026-11-10", "2026-11-11", "2026-11-12"]
    monkeypatch.setattr(
        learn_behaviour, "read_logs", lambda _, of, together=None: fit_log.on_nights(of)
    )
    monkeypatch.setattr(learn_behaviour, "log_fingerprints", lambda *_: {"log": "a"})
    monkeypatch.setattr(learn_behaviour, "shown_nights", lambda *_: None)
    small = {"folds": 2, "components": 4, "hidden": 8, "projection": 4, "epochs": 1}
    better = {"model": "pair", "learning_rate": 0.01, "epochs": 8}
    behaviour = BehaviourSettings(**small, learning_rate=1e-5, alternatives=(better,))
    before: dict[str, Any] = {}
    context: Any = SimpleNamespace(
        run_key="2026-11-13-1f2e3d4c",
        settings=SimpleNamespace(behaviour=behaviour, split=Split(), seed=1),
        progress=lambda *_: None,
        log=logging.getLogger,
        lake=lambda _: SimpleNamespace(
            require=lambda: SimpleNamespace(output_fingerprint=lambda: "b")
        ),
        run=lambda _, run_key: SimpleNamespace(
            require=lambda: SimpleNamespace(outputs=before[run_key].outputs),
            path=lambda name: tmp_path / run_key / name,
        ),
    )
    seen = []
    # The third has the second's tune night, so that their models can be compared.
    runs = (("one", "", 2), ("two", "one", 3), ("three", "two", 3))
    for run_key, weights_from, tuned in runs:
        plan: Any = SimpleNamespace(
            fit=nights[:2], tune=[nights[tuned]], gate=[], weights_from=weights_from
        )
        seen.append(learn_behaviour.STAGE.inputs(context, plan)["alternatives"])
        (tmp_path / run_key).mkdir()
        before[run_key] = learn_behaviour.STAGE.run(context, plan, tmp_path / run_key)
    assert len(set(seen)) == 3
    losses = [before[k].counts["heads"]["like"]["log_loss"] for k in ("two", "three")]
    assert losses[1] < losses[0]
    own = before["three"].counts["alternative"]
    assert "alternative" not in before["two"].counts
    assert own == "epochs 8, learning_rate 0.01, model pair"
    shown = NightFacts(reward_model=before["three"].counts["heads"], alternative=own)
    assert f"predicted better on nights before: {own}" in render_review_page(BARE, None, shown)
    told = before["two"].counts["alternatives"]
    assert told.endswith("from the next night on epochs 8, learning_rate 0.01, model pair")
    record = json.loads((tmp_path / "three" / before["three"].outputs["alternatives"]).read_text())
    # The one that serves is compared with the typed settings, which are fitted beside it.
    assert [t["setting"] for t in record["nights"][-1]["trials"]] == [better]
    assert record["nights"][-1]["chosen"] == better


def test_other_pretrained_weights_are_another_input(
    small_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn_behaviour, "log_fingerprints", lambda *_: {"log": "a"})
    embed: Any = SimpleNamespace(output_fingerprint=lambda: "b")
    lake: Any = SimpleNamespace(require=lambda: embed)
    plan: Any = SimpleNamespace(fit=[], tune=[])

    def inputs(behaviour: BehaviourSettings) -> dict[str, str]:
        context: Any = SimpleNamespace(
            settings=SimpleNamespace(behaviour=behaviour), lake=lambda _: lake
        )
        return learn_behaviour.STAGE.inputs(context, plan)

    other = tmp_path / "other"
    shutil.copytree(small_bert, other)
    (other / "vocab.txt").write_text("another")
    first, second = inputs(settings(small_bert)), inputs(settings(other))
    assert first["language_model"] != second["language_model"]
    assert inputs(BehaviourSettings()) == {"log": "a", "embed": "b"}
