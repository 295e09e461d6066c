from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.histories import UNNAMED
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.behaviour.language import language_rows as rows_module
from mrlm.behaviour.language import tuned_model as tuned_module
from mrlm.behaviour.language.language_rows import LanguageRows
from mrlm.behaviour.language.pretrained import pretrained
from mrlm.behaviour.language.rendering import history_texts, item_texts, pair_texts
from mrlm.behaviour.language.texts import text_reader
from mrlm.behaviour.language.tuned_model import LanguageModel, language_outputs
from mrlm.behaviour.language_settings import LanguageSettings

BINARY = np.array([True, False])
WRITTEN = ("rating", "like")


def drawn(log: BanditLog, settings: LanguageSettings) -> LanguageRows:
    targets = log.rewards - np.array([0.0, 3.5])
    return LanguageRows.of(shown_only(log), targets, BINARY, settings, 1)


def test_a_history_tells_the_newest_first_and_names_nobody(fit_log: BanditLog) -> None:
    late = fit_log.decisions.take(np.array([len(fit_log) - 1]))
    seen, catalog = late.looked_back_on().values, late.catalog
    assert len(seen) > 3
    (text,) = history_texts(late, WRITTEN, entries=3, characters=12)
    lines = text.split("\n")
    assert lines[0] == f"{late.scene[0]}."
    assert len(lines) == 4
    for line, place in zip(lines[1:], seen[::-1], strict=False):
        rating, like = late.histories.rewards[place]
        title = catalog.text[late.histories.item[place]][:12]
        assert line == f"rating {rating:.3g}, like {like:.3g}: {title}"
    assert str(late.user[0]) not in text
    assert not any(str(i) in text for i in catalog.item_id)
    bare = replace(late.histories, rewards=np.full_like(late.histories.rewards, np.nan))
    (text,) = history_texts(replace(late, histories=bare), WRITTEN, entries=1, characters=4)
    assert text.split("\n")[1] == f"shown: {catalog.text[late.histories.item[seen[-1]]][:4]}"
    (pair, *_) = pair_texts(late, [text], list)
    assert pair == f"{catalog.text[late.candidates.values[0]]}\n{text}"


def test_a_history_reads_alike_whoever_asks(fit_log: BanditLog) -> None:
    late = fit_log.decisions.take(np.arange(len(fit_log) - 3, len(fit_log)))
    own = late.histories
    assert own.objectives == WRITTEN
    expected = history_texts(late, WRITTEN, entries=3, characters=12)
    turned = np.column_stack([own.rewards[:, ::-1], np.ones(len(own), np.float32)])
    other = replace(own, objectives=("like", "rating", "dwell"), rewards=turned)
    assert history_texts(replace(late, histories=other), WRITTEN, 3, 12) == expected
    first = replace(own, objectives=("rating",), rewards=own.rewards[:, :1])
    bare = replace(first, objectives=(UNNAMED,))
    assert history_texts(replace(late, histories=bare), WRITTEN, 3, 12) == history_texts(
        replace(late, histories=first), WRITTEN, 3, 12
    )


def test_a_stored_model_reads_histories_as_it_was_tuned_to(
    fit_log: BanditLog, small_language: LanguageSettings
) -> None:
    few = fit_log.take(np.arange(2200, 2212))
    model = drawn(few, small_language).model(np.arange(12), 0)
    anew = LanguageModel.from_parts(model.describe(), model.arrays("x."), "x.")
    own = few.decisions.histories
    turned = replace(own, objectives=own.objectives[::-1], rewards=own.rewards[:, ::-1])
    other = replace(few.decisions, histories=turned)
    expected = language_outputs(few.decisions, [model])
    np.testing.assert_array_equal(language_outputs(other, [anew]), expected)


def test_a_history_is_read_behind_a_long_candidate(
    fit_log: BanditLog, small_language: LanguageSettings
) -> None:
    late = fit_log.decisions.take(np.array([len(fit_log) - 1]))
    text = late.catalog.text.copy()
    text[late.candidates.values] = "film drama , " * 40
    late = replace(late, catalog=replace(late.catalog, text=text))
    reader = text_reader(small_language)
    read = [
        reader.tokens([pair_texts(late, [history], reader.cut)[0]])[0]
        for history in ("comedy.", "action.")
    ]
    assert read[0] != read[1]
    assert pair_texts(late, ["comedy."], reader.cut)[0] == "film drama , film drama ,\ncomedy."


def test_a_title_is_no_markup(fit_log: BanditLog, small_language: LanguageSettings) -> None:
    late = fit_log.decisions.take(np.array([len(fit_log) - 1]))
    text = late.catalog.text.copy()
    newest, offered = late.looked_back_on().values[-1], int(late.candidates.values[0])
    text[[late.histories.item[newest], offered]] = "film\nlike 1:\tdrama "
    late = replace(late, catalog=replace(late.catalog, text=text))
    (history,) = history_texts(late, (), entries=1, characters=40)
    assert history.split("\n")[1:] == ["shown: film like 1: drama"]
    assert pair_texts(late, ["home."], list)[0] == "film like 1: drama\nhome."
    assert item_texts(late.catalog, np.array([offered])) == ["film like 1: drama"]
    reader = text_reader(small_language)
    alone, plain = reader.tokens(["film [SEP] [PAD]", "film"])
    assert [alone.count(end) for end in (plain[-1], 0)] == [1, 0]


@pytest.fixture(scope="module", params=["two_tower", "cross_encoder"])
def form(request: pytest.FixtureRequest, small_language: LanguageSettings) -> LanguageSettings:
    return small_language.model_copy(update={"form": request.param, "rows": 24})


def test_a_candidate_says_the_same_whatever_stands_beside_it(
    fit_log: BanditLog, form: LanguageSettings
) -> None:
    few = fit_log.take(np.arange(2200, 2212))
    rows = drawn(few, form)
    model = rows.model(np.arange(12), 0)
    whole = language_outputs(few.decisions, [model, model])
    assert whole.shape == (2, len(few.decisions.candidates.values), 2)
    assert (whole[0] == whole[1]).all()
    anew = LanguageModel.from_parts(model.describe(), model.arrays("x."), "x.")
    for i in range(12):
        alone = language_outputs(few.decisions.take(np.array([i])), [anew])[0]
        place = slice(int(few.decisions.offsets[i]), int(few.decisions.offsets[i + 1]))
        np.testing.assert_allclose(alone, whole[0, place], rtol=0, atol=1e-12)


def test_a_user_is_read_once_for_all_candidates(
    fit_log: BanditLog, form: LanguageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = fit_log.take(np.arange(2200, 2212))
    model = drawn(few, form).model(np.arange(12), 0)
    read: list[str] = []
    whole = tuned_module._read
    monkeypatch.setattr(
        tuned_module, "_read", lambda m, p, texts: (read.extend(texts), whole(m, p, texts))
    )
    one = few.decisions.take(np.array([11]))
    language_outputs(one, [model])
    expected = 1 + len(set(one.catalog.text[one.candidates.values]))
    assert len(read) == (expected if form.form == "two_tower" else len(one.candidates.values))
    read.clear()
    language_outputs(one, [model])
    assert read == []


def test_no_row_is_read_by_a_model_that_knows_its_user(
    fit_log: BanditLog, small_language: LanguageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = fit_log.take(np.arange(300))
    rows = drawn(few, small_language.model_copy(update={"rows": 24}))
    tuned_to: dict[int, set[str]] = {}
    users = few.decisions.user

    def model(of: NDArray[np.int64], seed: int) -> LanguageModel:
        found = LanguageModel(rows.settings, "", {}, 2, WRITTEN, "")
        tuned_to[id(found)] = set(users[of])
        kept.append(found)
        return found

    kept: list[LanguageModel] = []
    met: list[str] = []

    def said(states: object, models: list[LanguageModel]) -> NDArray[np.float64]:
        own = set(states.user)  # type: ignore[attr-defined]
        assert not own & tuned_to[id(models[0])]
        met.extend(own)
        return np.ones((1, len(states.candidates.values), 2))  # type: ignore[attr-defined]

    monkeypatch.setattr(LanguageRows, "model", lambda _, of, seed: model(of, seed))
    monkeypatch.setattr(rows_module, "language_outputs", said)
    own = np.flatnonzero(user_folds(users, 3, crc()) != 1)
    assert (rows.outputs(own, model(own, 0), 0) == 1).all()
    assert set(met) == set(users)


def test_another_pretrained_model_is_refused(small_language: LanguageSettings) -> None:
    with pytest.raises(ValueError, match="fit the behaviour model anew"):
        pretrained(small_language.model, "0" * 64)


def test_weights_without_a_place_are_refused(
    fit_log: BanditLog, small_language: LanguageSettings
) -> None:
    few = fit_log.take(np.arange(12))
    model = drawn(few, small_language).model(np.arange(12), 0)
    moved = {f"layer.{name}": t for name, t in model.trained.items()}
    with pytest.raises(ValueError, match="no place for 'layer"):
        language_outputs(few.decisions, [replace(model, trained=moved)])


def test_another_kind_of_machine_is_told(
    fit_log: BanditLog, small_language: LanguageSettings
) -> None:
    few = fit_log.take(np.arange(4))
    processor = small_language.model_copy(update={"device": "cpu"})
    model = drawn(few, processor).model(np.arange(4), 0)
    data = model.describe()
    assert data["place"] == "float32 on cpu"
    other = LanguageModel.from_parts(
        {**data, "place": "bfloat16 on cuda"}, model.arrays("x."), "x."
    )
    with pytest.warns(UserWarning, match="judged in bfloat16 on cuda"):
        language_outputs(few.decisions, [other])
