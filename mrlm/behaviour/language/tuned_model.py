"""A tuned transformer as it is asked: outputs of pairs, each text read once while it is kept."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.behaviour.language.pretrained import pretrained
from mrlm.behaviour.language.rendering import history_texts, item_texts, pair_texts
from mrlm.behaviour.language.text_network import TextNetwork
from mrlm.behaviour.language.texts import TextReader, Tokens, text_reader
from mrlm.behaviour.language_settings import LanguageSettings
from mrlm.behaviour.networks.threads import one_thread

# Texts whose reading is kept, of each part; 40 numbers each with the default width.
_MOST = 1 << 16
_BATCH = 64
USER, ITEM = 0, 1


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """One tuned network, and what it said of texts.

    Attributes:
        settings: with which it was tuned; ``model`` names the folder that it was tuned from.
        fingerprint: of that folder's content. The pretrained weights are not stored again.
        trained: what was trained, by name.
        outputs: how many objectives it has.
        written: objectives of the histories' text, in its order.
        place: on what and how exactly the model was tuned and judged (``TextReader.place``).
        brought: of each part, text to what the head makes of it; the newest are kept.
    """

    settings: LanguageSettings
    fingerprint: str
    trained: dict[str, torch.Tensor]
    outputs: int
    written: tuple[str, ...]
    place: str
    brought: tuple[dict[str, NDArray[np.float64]], ...] = field(
        default_factory=lambda: ({}, {}), init=False, repr=False
    )

    @classmethod
    def of(
        cls,
        network: TextNetwork,
        reader: TextReader,
        settings: LanguageSettings,
        written: tuple[str, ...],
    ) -> LanguageModel:
        """The network as it is now, tuned on what ``reader`` read."""
        trained = {n: p.detach().cpu().clone() for n, p in network.trained().items()}
        outputs = network.head.own[0].out_features
        return cls(settings, reader.base.fingerprint, trained, outputs, written, reader.place)

    def describe(self) -> dict[str, Any]:
        """Everything but the arrays, for JSON."""
        return {
            # Where a tuning kept its checkpoints says nothing about what was tuned.
            "settings": self.settings.model_dump(mode="json", exclude={"checkpoints"}),
            "fingerprint": self.fingerprint,
            "outputs": self.outputs,
            "written": list(self.written),
            "place": self.place,
        }

    def arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """What was trained, for safetensors."""
        return {f"{prefix}{name}": t.numpy() for name, t in self.trained.items()}

    @classmethod
    def from_parts(
        cls, data: dict[str, Any], arrays: dict[str, NDArray[Any]], prefix: str
    ) -> LanguageModel:
        """The model that ``describe`` and ``arrays`` were taken from."""
        trained = {
            name.removeprefix(prefix): torch.from_numpy(a)
            for name, a in arrays.items()
            if name.startswith(prefix)
        }
        settings = LanguageSettings(**data["settings"])
        return cls(
            settings,
            data["fingerprint"],
            trained,
            data["outputs"],
            tuple(data["written"]),
            data["place"],
        )

    @cached_property
    def network(self) -> TextNetwork:
        """The pretrained layers with what was trained in its place.

        Warns where this machine computes otherwise than the one that the model was judged on.

        Raises:
            FileNotFoundError: the folder that it was tuned from is not there.
            ValueError: the folder holds another model by now, or layers have other names.
        """
        base = pretrained(self.settings.model, self.fingerprint)
        here = text_reader(self.settings).place
        if here != self.place:
            warnings.warn(
                f"the behaviour model `language` was judged in {self.place} and is computed in "
                f"{here} here, so its scores differ from those that were judged: serve it on such "
                "a machine, or fit it anew with behaviour.language.device and precision set",
                stacklevel=2,
            )
        with torch.random.fork_rng(devices=[]):
            network: TextNetwork = TextNetwork(
                base, self.settings, parts(self.settings), self.outputs
            )
        unknown = network.load_state_dict(self.trained, strict=False).unexpected_keys
        if unknown:
            raise ValueError(
                f"this version of transformers or of mrlm has no place for {unknown[0]!r}: fit the "
                "behaviour model anew"
            )
        network.eval()
        return network

    @cached_property
    def together(self) -> NDArray[np.float64]:
        """How much each product of projections brings to each output, (width, outputs)."""
        found: NDArray[np.float64] = self.trained["head.together.weight"].double().numpy().T
        return found


def parts(settings: LanguageSettings) -> int:
    """Texts that a row has: one, or a user's and an item's."""
    return 2 if settings.form == "two_tower" else 1


def language_outputs(states: Decisions, models: Sequence[LanguageModel]) -> NDArray[np.float64]:
    """Logits of binary objectives and standardised values of the others, (models, P, outputs).

    A text is read once by the lower layers, which all models share, then by each model's own. On a
    processor each is read alone, so that what was read beside it changes not a bit.

    Args:
        states: distinct ones, with P candidates in all.
        models: tuned from one pretrained model with the same settings to the same histories.
    """
    settings, written = models[0].settings, models[0].written
    histories = history_texts(states, written, settings.entries, settings.entry_characters)
    row, codes = states.candidates.row, states.candidates.values
    if not len(codes):
        return np.zeros((len(models), 0, models[0].outputs))
    if settings.form == "cross_encoder":
        pairs = pair_texts(states, histories, text_reader(settings).cut)
        return np.stack(_brought(models, USER, pairs))
    items, item = np.unique(codes, return_inverse=True)
    users = _brought(models, USER, histories)
    offered = _brought(models, ITEM, item_texts(states.catalog, items))
    found = []
    for model, user, own in zip(models, users, offered, strict=True):
        m = model.outputs
        product = user[row, m:] * own[item, m:]
        found.append(user[row, :m] + own[item, :m] + product @ model.together)
    return np.stack(found)


def _brought(
    models: Sequence[LanguageModel], part: int, texts: Sequence[str]
) -> list[NDArray[np.float64]]:
    """What texts bring by each model, (texts, outputs or more); read where they were not."""
    with _READING:
        unread = {t for m in models for t in texts if t not in m.brought[part]}
        # In the order of their length, so that little of a batch is padding.
        _read(models, part, sorted(unread, key=lambda t: (len(t), t)))
        found = [np.array([m.brought[part][t] for t in texts]) for m in models]
        for model in models:
            kept = model.brought[part]
            for text in list(islice(kept, max(len(kept) - _MOST, 0))):
                del kept[text]
    return found


def _read(models: Sequence[LanguageModel], part: int, texts: list[str]) -> None:
    """Let every model read these texts."""
    if not texts:
        return
    reader = text_reader(models[0].settings)
    # Texts may be the same as far as they are read.
    tokens = reader.tokens(texts)
    distinct = list(dict.fromkeys(tokens))
    size = _BATCH if reader.device.type == "cuda" else 1
    networks = [m.network.to(reader.device) for m in models]
    rows: list[dict[Tokens, NDArray[np.float64]]] = [{} for _ in models]
    with one_thread(), torch.inference_mode():
        for start in range(0, len(distinct), size):
            chosen = distinct[start : start + size]
            batch = reader.batch(chosen)
            for network, own in zip(networks, rows, strict=True):
                with reader.autocast():
                    vectors = network.vectors(batch)
                found = network.head.part(part, vectors).double().cpu().numpy()
                own.update(zip(chosen, found, strict=True))
    for model, own in zip(models, rows, strict=True):
        model.brought[part].update((t, own[k]) for t, k in zip(texts, tokens, strict=True))


# The layers hold what the lower ones gave them while they compute.
_READING = threading.Lock()
