from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from torch import nn

from mrlm.behaviour.language import checkpoints as checkpoints_module
from mrlm.behaviour.language.checkpoints import Checkpoints
from mrlm.behaviour.language.fine_tuning import TextRows, fine_tune
from mrlm.behaviour.language.pretrained import Lower, Pretrained, Upper, pretrained
from mrlm.behaviour.language.text_network import TextNetwork
from mrlm.behaviour.language.texts import TextReader
from mrlm.behaviour.language_settings import LanguageSettings

GENRES = ("action", "comedy", "crime", "drama", "romance")
TEXTS = [f"film : {a} , {b}" for a in GENRES for b in GENRES]


@pytest.fixture(scope="module")
def small_decoder(small_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random decoder of two layers with the same words."""
    from transformers import AutoTokenizer, Qwen2Config, Qwen2Model

    folder = tmp_path_factory.mktemp("small-decoder")
    tokenizer = AutoTokenizer.from_pretrained(small_bert)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=16,
        )
        Qwen2Model(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tuned(
    settings: LanguageSettings, kept: Checkpoints | None = None, rows: int = 60
) -> tuple[TextNetwork, list[float], TextReader]:
    """Tuned to whether a text names a comedy, and to how many dramas it names."""
    reader = TextReader(pretrained(settings.model), settings)
    place = np.random.default_rng(0).integers(0, len(TEXTS), rows)
    targets = [["comedy" in TEXTS[i], TEXTS[i].count("drama") - 0.4] for i in place]
    of = TextRows(
        reader.tokens(TEXTS),
        place[:, None],
        np.array(targets, np.float64).reshape(rows, 2),
        np.array([True, False]),
    )
    network, curve = fine_tune(reader, of, settings, 3, kept)
    return network, curve, reader


@pytest.fixture(scope="module")
def quick(small_language: LanguageSettings) -> LanguageSettings:
    return small_language.model_copy(
        update={"form": "cross_encoder", "batch_size": 20, "epochs": 3, "learning_rate": 1e-2}
    )


@pytest.mark.parametrize("family", ["small_bert", "small_decoder"])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_both_parts_together_are_the_whole_model(
    family: str, depth: int, request: pytest.FixtureRequest
) -> None:
    base = Pretrained(request.getfixturevalue(family))
    ids, mask = base.padded(base.tokens(["film : action", "drama , comedy : film a film"], 16))
    with torch.inference_mode():
        whole = base.model(input_ids=ids, attention_mask=mask).last_hidden_state
        hidden = Lower(base, depth, torch.device("cpu"))(ids, mask) if depth else None
        found = Upper(base, depth)(ids, mask, hidden)
    real = mask.bool()
    torch.testing.assert_close(found[real], whole[real], atol=1e-5 if depth else 0, rtol=0)
    assert (found[real] != 0).any()


def test_a_text_without_words_is_read(small_decoder: Path, quick: LanguageSettings) -> None:
    settings = quick.model_copy(update={"model": str(small_decoder)})
    base = Pretrained(small_decoder)
    # As decoders have it: nothing is put around a text.
    base._tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A")
    reader = TextReader(base, settings)
    network = TextNetwork(base, settings, 1, 1).eval()
    with torch.inference_mode():
        alone, (beside, _) = (
            network.vectors(reader.batch(reader.tokens(texts))) for texts in ([""], ["", "film"])
        )
    assert alone.isfinite().all()
    torch.testing.assert_close(alone[0], beside)


@pytest.mark.parametrize("family", ["small_bert", "small_decoder"])
@pytest.mark.parametrize(
    ("tuning", "depth"), [("head", 1), ("low_rank", 1), ("low_rank", None), ("full", None)]
)
def test_it_learns_and_changes_only_what_it_is_told_to(
    quick: LanguageSettings,
    family: str,
    tuning: str,
    depth: int | None,
    request: pytest.FixtureRequest,
) -> None:
    folder = str(request.getfixturevalue(family))
    settings = quick.model_copy(update={"model": folder, "tuning": tuning, "trained_layers": depth})
    before = {n: p.clone() for n, p in pretrained(folder).model.state_dict().items()}
    network, curve, _ = tuned(settings)
    for name, weight in pretrained(folder).model.state_dict().items():
        assert torch.equal(weight, before[name])
    trained = {n for n in network.trained() if not n.startswith("head.")}
    if tuning == "head":
        assert (trained, curve) == (set(), [])
        return
    assert np.mean(curve[-3:]) < np.mean(curve[:3])
    assert all(("parametrizations" in n) == (tuning == "low_rank") for n in trained)
    assert any("embed" in n for n in trained) == (tuning == "full")


def test_a_killed_run_goes_on_to_the_same_curve_and_weights(
    quick: LanguageSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = quick.model_copy(update={"checkpoint_steps": 2})
    whole, curve, _ = tuned(settings)
    kept = Checkpoints(tmp_path / "run", "these rows")
    save = checkpoints_module.save_file

    def killed(tensors: dict[str, torch.Tensor], path: Path, about: dict[str, str]) -> None:
        save(tensors, path, about)
        if (kept.folder / "training.safetensors").exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints_module, "save_file", killed)
    with pytest.raises(KeyboardInterrupt):
        tuned(settings, kept)
    monkeypatch.undo()
    steps: list[int] = []
    one_step = torch.optim.AdamW.step

    def counted(own: torch.optim.AdamW, *args: Any) -> Any:
        steps.append(1)
        return one_step(own, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", counted)
    again, resumed, _ = tuned(settings, kept)
    assert len(steps) == len(curve) - 2
    assert resumed == curve
    for name, weight in whole.trained().items():
        assert torch.equal(again.trained()[name], weight)
    other = replace(kept, key="other rows")
    assert other.restore(again.trained(), torch.optim.AdamW(again.parameters())) == []


def test_parts_of_a_step_add_up_to_it(quick: LanguageSettings) -> None:
    """Without dropout; as do activations that are computed twice."""
    calm = quick.model_copy(update={"epochs": 1})
    curves = []
    for more in ({}, {"accumulation": 3}, {"gradient_checkpoints": True}):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nn.Dropout, "forward", lambda _, x: x)
            config = pretrained(calm.model).model.config
            patch.setattr(config, "attention_probs_dropout_prob", 0.0)
            found = tuned(calm.model_copy(update=more))[1]
        curves.append(found)
    # Each part's losses of the two objectives are means of the part.
    np.testing.assert_allclose(curves[1], curves[0], rtol=0.02)
    np.testing.assert_allclose(curves[2], curves[0], rtol=1e-5)


def test_the_loss_of_ratings_is_chosen(quick: LanguageSettings) -> None:
    short = quick.model_copy(update={"epochs": 1})
    huber, squared = (
        tuned(short.model_copy(update={"loss": loss}))[1] for loss in ("huber", "squared")
    )
    assert huber != squared


def test_without_rows_it_says_nothing(quick: LanguageSettings) -> None:
    network, curve, reader = tuned(quick, rows=0)
    with torch.inference_mode():
        vectors = network.vectors(reader.batch(reader.tokens(TEXTS[:3])))
        outputs = network.head.join([network.head.part(0, vectors)])
    assert curve == []
    assert not outputs.any()
