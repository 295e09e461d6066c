"""Film title and genres to delight: rows of the ratings, the frozen head, and the tuned models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._clock import Clock
from mrlm.behaviour.language.checkpoints import Checkpoints
from mrlm.behaviour.language.fine_tuning import TextRows, fine_tune
from mrlm.behaviour.language.pretrained import pretrained
from mrlm.behaviour.language.text_network import TextNetwork
from mrlm.behaviour.language.texts import TextReader
from mrlm.behaviour.language_settings import LanguageSettings
from mrlm.behaviour.networks.threads import one_thread
from mrlm.metrics.ranking import auc
from mrlm.worlds.ratings import load_movielens

DELIGHT = 4.0
TRAIN, TEST, QUICK_TEST, KILLED = 2000, 12000, 1500, 400
SEED = 0
_TOGETHER = 64
_RIDGES = tuple(10.0**k for k in np.arange(-3.0, 2.1, 0.5))
_FOLDS = 5


@dataclass(frozen=True)
class FilmTask:
    """Ratings of some films to learn from, and of others to judge by: no film is in both.

    Attributes:
        texts: title and genres of each film.
        film: int64, shape (rows,), place in ``texts``; the first ``TRAIN`` rows are learned from.
        delight: 0 or 1, float64, shape (rows,).
    """

    texts: list[str]
    film: NDArray[np.int64]
    delight: NDArray[np.float64]


def film_task(quick: bool) -> FilmTask:
    """Rows drawn from two halves of the films; quick: few of the most rated ones."""
    ratings = load_movielens()
    draw = np.random.default_rng(SEED)
    films, many = ratings.catalog, len(ratings.catalog)
    used = draw.random(many) < 0.5
    usable = np.ones(many, np.bool_)
    if quick:
        popularity = films.attributes["popularity"]
        usable = popularity >= np.sort(popularity)[-400]
    chosen = []
    for half, rows in ((used, TRAIN), (~used, QUICK_TEST if quick else TEST)):
        of = np.flatnonzero((half & usable)[ratings.item])
        chosen.append(draw.permutation(of)[:rows])
    index = np.concatenate(chosen)
    codes, film = np.unique(ratings.item[index], return_inverse=True)
    return FilmTask(
        texts=[str(t) for t in films.text[codes]],
        film=film,
        delight=(ratings.rating[index] >= DELIGHT).astype(np.float64),
    )


def frozen_head(task: FilmTask) -> tuple[NDArray[np.float64], float]:
    """Logits of the films by logistic regression on untouched vectors, and its ridge.

    The ridge is that of the highest area over films left out of the training rows.
    """
    from sklearn.linear_model import LogisticRegression

    settings = LanguageSettings(tuning="head")
    reader = TextReader(pretrained(None), settings)
    vectors = _vectors(TextNetwork(reader.base, settings, 1, 1), reader, task.texts).numpy()
    film, delight = task.film[:TRAIN], task.delight[:TRAIN]
    fold = np.random.default_rng(SEED).integers(0, _FOLDS, len(task.texts))[film]

    def fitted(rows: NDArray[np.bool_], ridge: float) -> LogisticRegression:
        of = LogisticRegression(C=1 / ridge, max_iter=1000)
        return of.fit(vectors[film[rows]], delight[rows])

    def area(ridge: float) -> float:
        held = [fold == k for k in range(_FOLDS)]
        found = [fitted(~h, ridge).decision_function(vectors[film[h]]) for h in held]
        return float(np.mean([auc(delight[h], s) for h, s in zip(held, found, strict=True)]))

    # Vectors have the length 20 here, so the ridges are those of unit vectors times 400.
    ridges = [r * vectors.shape[1] for r in _RIDGES]
    best = max(ridges, key=area)
    everything = np.ones(TRAIN, np.bool_)
    return np.asarray(fitted(everything, best).decision_function(vectors)), best


def tuned(
    task: FilmTask, settings: LanguageSettings, many: int = TRAIN, folder: Path | None = None
) -> tuple[NDArray[np.float64], list[float], dict[str, float]]:
    """Logits of the films by a model tuned to the first rows, its curve, and processor seconds."""
    clock = Clock()
    reader = TextReader(pretrained(settings.model), settings)
    rows = TextRows(
        reader.tokens(task.texts),
        task.film[:many, None],
        task.delight[:many, None],
        np.array([True]),
    )
    kept = Checkpoints(folder, rows.key()) if folder else None
    network, curve = fine_tune(reader, rows, settings, SEED, kept)
    clock.lap("fit")
    vectors = _vectors(network, reader, task.texts)
    with torch.inference_mode():
        outputs = network.head.join([network.head.part(0, vectors)])
    clock.lap("score")
    return outputs[:, 0].double().numpy(), curve, clock.seconds


def _vectors(network: TextNetwork, reader: TextReader, texts: Sequence[str]) -> torch.Tensor:
    tokens = reader.tokens(texts)
    order = np.argsort([len(t) for t in tokens], kind="stable")
    found = torch.zeros(len(texts), reader.base.width)
    network.eval()
    with one_thread(), torch.inference_mode():
        for start in range(0, len(order), _TOGETHER):
            chosen = order[start : start + _TOGETHER]
            batch = reader.batch([tokens[i] for i in chosen])
            found[torch.from_numpy(chosen)] = network.vectors(batch).cpu()
    return found


def killed_and_resumed(settings: LanguageSettings, folder: Path) -> tuple[list[float], int]:
    """The curve of a run that was killed by SIGKILL after its first checkpoint and went on.

    Returns:
        The whole curve, and the steps that were done when it was killed.
    """
    command = [sys.executable, "-m", __name__, settings.model_dump_json(), str(folder)]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while process.poll() is None and not list(folder.glob("*.safetensors")):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(curve_of(folder))
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return curve_of(folder), done


def curve_of(folder: Path) -> list[float]:
    """Losses of the steps that a checkpoint holds."""
    from safetensors import safe_open

    with safe_open(next(folder.glob("*.safetensors")), "pt") as file:
        curve: list[float] = json.loads(file.metadata()["curve"])
    return curve


if __name__ == "__main__":
    of = LanguageSettings(**json.loads(sys.argv[1]))
    tuned(film_task(quick=True), of, KILLED, Path(sys.argv[2]))
