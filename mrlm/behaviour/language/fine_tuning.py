"""Tune a pretrained transformer to outcomes: the head first, then what the settings name."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed, nn

from mrlm.behaviour.language.checkpoints import Checkpoints
from mrlm.behaviour.language.text_network import TextNetwork
from mrlm.behaviour.language.texts import TextReader, Tokens
from mrlm.behaviour.language_settings import LanguageSettings
from mrlm.behaviour.networks.head_loss import head_loss
from mrlm.behaviour.networks.threads import one_thread

# Texts that are read at once, where nothing is learned from them yet.
_TOGETHER = 32
# Of a run's steps, those in which the rate rises.
_WARM = 0.1
_LONGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class TextRows:
    """n rows of outcomes, each of one text or of a user's and an item's.

    Attributes:
        texts: tokens of the distinct texts.
        place: int64, shape (n, parts), which texts a row has.
        targets: float64, shape (n, outputs), standardised where not binary; NaN where unknown.
        binary: bool, shape (outputs,).
    """

    texts: list[Tokens]
    place: NDArray[np.int64]
    targets: NDArray[np.float64]
    binary: NDArray[np.bool_]

    def of(self, rows: NDArray[np.int64]) -> TextRows:
        """Some of the rows; the texts are shared."""
        return TextRows(self.texts, self.place[rows], self.targets[rows], self.binary)

    def key(self, *more: str) -> str:
        """Hash of the rows and of what else a training depends on."""
        whole = hashlib.sha256("\0".join(more).encode())
        used, place = np.unique(self.place, return_inverse=True)
        for text in used:
            whole.update(f"{self.texts[text]}\n".encode())
        for array in (place, self.targets, self.binary):
            whole.update(np.ascontiguousarray(array).tobytes())
        return whole.hexdigest()


def fine_tune(
    reader: TextReader,
    rows: TextRows,
    settings: LanguageSettings,
    seed: int,
    checkpoints: Checkpoints | None = None,
) -> tuple[TextNetwork, list[float]]:
    """A network tuned to the rows, and the loss of each step.

    The head is fitted on the untouched vectors before anything else moves, so that a random head
    does not bend what the model knows (Kumar et al., Fine-tuning can distort pretrained features
    and underperform out-of-distribution, 2022). Order and dropout of a step follow from the seed
    and the step's number alone: a run that was killed goes on from its checkpoint as if it had not
    been. Where ``torch.distributed`` is initialised (torchrun), each process takes its share of a
    step's rows and gradients are averaged. The same seed gives the same weights on one processor.

    Args:
        reader: reads the texts of ``rows``.
        rows: with a known target each; of none at all a network is tuned that says 0.
        settings: what is trained, sizes and rates.
        seed: of first weights, order and dropout.
        checkpoints: where to write and to go on from.
    """
    with one_thread(), torch.random.fork_rng():
        torch.manual_seed(seed)
        parts, outputs = rows.place.shape[1], rows.targets.shape[1]
        network = TextNetwork(reader.base, settings, parts, outputs).to(reader.device)
        _fit_head(network, reader, rows, settings)
        curve: list[float] = []
        if settings.tuning != "head":
            curve = _fit_all(network, reader, rows, settings, seed, checkpoints)
    return network.eval(), curve


def _fit_all(
    network: TextNetwork,
    reader: TextReader,
    rows: TextRows,
    settings: LanguageSettings,
    seed: int,
    checkpoints: Checkpoints | None,
) -> list[float]:
    trained = network.trained()
    optimiser = torch.optim.AdamW(
        trained.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    curve = checkpoints.restore(trained, optimiser) if checkpoints else []
    a_pass = -(-len(rows.place) // settings.batch_size)
    total = a_pass * settings.epochs
    network.train()
    order = np.zeros(0, np.int64)
    for step in range(len(curve), total):
        if len(order) == 0 or step % a_pass == 0:
            order = np.random.default_rng([seed, step // a_pass]).permutation(len(rows.place))
        start = step % a_pass * settings.batch_size
        rank, processes = _shares()
        chosen = order[start : start + settings.batch_size][rank::processes]
        own = np.random.SeedSequence([seed, step, rank]).generate_state(1)
        torch.manual_seed(int(own[0]))
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * _rate(step, total)
        optimiser.zero_grad()
        loss = 0.0
        pieces = [p for p in np.array_split(chosen, settings.accumulation) if len(p)]
        for piece in pieces:
            with reader.autocast():
                part = _loss(network, reader, rows.of(piece), settings) * (len(piece) / len(chosen))
            part.backward()
            loss += float(part.detach())
        _average(list(trained.values()), processes)
        nn.utils.clip_grad_norm_(trained.values(), _LONGEST_GRADIENT)
        optimiser.step()
        curve.append(loss)
        last = step + 1 == total
        if checkpoints and rank == 0 and ((step + 1) % settings.checkpoint_steps == 0 or last):
            checkpoints.save(trained, optimiser, curve)
    return curve


def _fit_head(
    network: TextNetwork, reader: TextReader, rows: TextRows, settings: LanguageSettings
) -> None:
    """The head alone, on vectors of the untouched layers: a ridge regression of all rows."""
    network.eval()
    if len(rows.place) == 0:
        for parameter in (*network.head.linear(), *network.head.biases()):
            nn.init.zeros_(parameter)
        return
    used, place = np.unique(rows.place, return_inverse=True)
    with torch.no_grad(), reader.autocast():
        batches = [used[i : i + _TOGETHER] for i in range(0, len(used), _TOGETHER)]
        vectors = torch.cat([_vectors(network, reader, rows, b) for b in batches])
    numbers = torch.from_numpy(place.reshape(rows.place.shape)).to(reader.device)
    weights = network.head.linear()
    # A ridge on vectors of unit length; these are longer by the root of their width.
    ridge = settings.head_ridge * vectors.shape[1] / len(numbers)
    optimiser = torch.optim.LBFGS(
        [*weights, *network.head.biases()],
        max_iter=settings.head_steps,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        parts = [network.head.part(p, vectors[numbers[:, p]]) for p in range(numbers.shape[1])]
        loss = _outputs_loss(network.head.join(parts), rows, settings)
        loss = loss + 0.5 * ridge * sum((w**2).sum() for w in weights)
        optimiser.zero_grad()
        loss.backward()
        return loss

    optimiser.step(closure)


def _vectors(
    network: TextNetwork, reader: TextReader, rows: TextRows, texts: NDArray[np.int64]
) -> torch.Tensor:
    return network.vectors(reader.batch([rows.texts[i] for i in texts]))


def _loss(
    network: TextNetwork, reader: TextReader, rows: TextRows, settings: LanguageSettings
) -> torch.Tensor:
    parts = []
    for p in range(rows.place.shape[1]):
        used, place = np.unique(rows.place[:, p], return_inverse=True)
        vectors = _vectors(network, reader, rows, used)
        numbers = torch.from_numpy(place).to(vectors.device)
        parts.append(network.head.part(p, vectors)[numbers])
    return _outputs_loss(network.head.join(parts), rows, settings)


def _outputs_loss(
    outputs: torch.Tensor, rows: TextRows, settings: LanguageSettings
) -> torch.Tensor:
    device = outputs.device
    known = torch.from_numpy(np.isfinite(rows.targets).astype(np.float32)).to(device)
    wanted = torch.from_numpy(np.nan_to_num(rows.targets).astype(np.float32)).to(device)
    binary = torch.from_numpy(rows.binary).to(device)
    squared = settings.loss == "squared"
    return head_loss(outputs.float(), wanted, known, binary, squared=squared)


def _rate(step: int, total: int) -> float:
    """Share of the highest rate: a short rise, then half a cosine to 0."""
    warm = max(1, int(_WARM * total))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(total - warm, 1)))


def _shares() -> tuple[int, int]:
    """This process's number, and how many share the rows."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _average(parameters: list[nn.Parameter], processes: int) -> None:
    """Mean gradient over the processes."""
    if processes == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        distributed.all_reduce(parameter.grad)
        parameter.grad /= processes
