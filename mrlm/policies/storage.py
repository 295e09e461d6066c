"""Policies as folders: JSON for what they are, safetensors for what they learned."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save_file

from mrlm.bandit_log import Objective
from mrlm.policies.contract import Policy, Scorer
from mrlm.policies.greedy import Greedy
from mrlm.policies.loggers.clone_view import CloneView
from mrlm.policies.loggers.feature_softmax import FeatureSoftmax, Hidden
from mrlm.policies.loggers.item_softmax import ItemSoftmax, Term
from mrlm.policies.mixture import Mixture
from mrlm.policies.standardise import Standardiser
from mrlm.policies.tuned import SceneWeights, Tuned
from mrlm.policies.uniform import Uniform

_TENSORS = "policy.safetensors"
# Clones of loggers that one process reads again and again, inside the champions.
_SHARED = 8

ScorerLoaders = Mapping[str, Callable[[Path], Scorer]]


def save_policy(policy: Policy, folder: Path) -> None:
    """Write a policy into a new folder; an anchor and scorers get folders inside it.

    Raises:
        TypeError: the policy is of a kind that cannot be stored.
        FileExistsError: the folder exists.
    """
    folder.mkdir(parents=True)
    (folder / "policy.json").write_text(json.dumps(_describe(policy), indent=1, sort_keys=True))
    if isinstance(policy, Tuned):
        save_policy(policy.anchor, folder / "anchor")
    for i, scorer in enumerate(_scorers(policy)):
        place = folder / "scorers" / str(i)
        place.mkdir(parents=True)
        scorer.save(place)
    if isinstance(policy, Mixture):
        for i, part in enumerate(policy.policies):
            save_policy(part, folder / "policies" / str(i))
    if isinstance(policy, FeatureSoftmax):
        save_file(_tensors(policy), folder / _TENSORS)


def load_policy(folder: Path, loaders: ScorerLoaders) -> Policy:
    """Read what ``save_policy`` wrote.

    Args:
        folder: as given to ``save_policy``.
        loaders: how to read each kind of scorer.

    Raises:
        ValueError: the folder holds a kind of policy or scorer that is not known.
    """
    description = (folder / "policy.json").read_text()
    data: dict[str, Any] = json.loads(description)
    kind = data.pop("kind")
    if kind == "uniform":
        return Uniform(**data)
    if kind == "item_softmax":
        return ItemSoftmax(
            terms=tuple(Term(**t) for t in data["terms"]), floor=data["floor"], name=data["name"]
        )
    if kind == "tuned":
        return _load_tuned(data, folder, loaders)
    if kind == "mixture":
        parts = range(len(data["shares"]))
        return Mixture(
            policies=tuple(load_policy(folder / "policies" / str(i), loaders) for i in parts),
            shares=tuple(data["shares"]),
            name=data["name"],
        )
    if kind == "feature_softmax":
        return _feature_softmax(description, (folder / _TENSORS).read_bytes())
    if kind == "greedy":
        (scorer,) = _load_scorers(data, folder, loaders)
        return Greedy(scorer=scorer, floor=data["floor"], name=data["name"])
    raise ValueError(f"{folder}: policy kind {kind!r} is not known to this version")


def _describe(policy: Policy) -> dict[str, Any]:
    if isinstance(policy, Uniform):
        return {"kind": "uniform", **asdict(policy)}
    if isinstance(policy, ItemSoftmax):
        return {"kind": "item_softmax", **asdict(policy)}
    if isinstance(policy, Mixture):
        return {"kind": "mixture", "name": policy.name, "shares": list(policy.shares)}
    if isinstance(policy, FeatureSoftmax):
        return {
            "kind": "feature_softmax",
            "name": policy.name,
            "floor": policy.floor,
            "terms": [asdict(t) for t in policy.view.terms],
            "categories": list(policy.view.categories),
            "scenes": list(policy.view.scenes),
            "item_id": policy.item_id.tolist(),
        }
    if isinstance(policy, Greedy):
        return {
            "kind": "greedy",
            "name": policy.name,
            "floor": policy.floor,
            "scorers": [s.kind for s in _scorers(policy)],
        }
    if isinstance(policy, Tuned):
        return {
            "kind": "tuned",
            "name": policy.name,
            "kappa": policy.kappa,
            "theta": policy.theta.tolist(),
            "standardiser": asdict(policy.standardiser),
            "floor": policy.floor,
            "known": [o.to_json() for o in policy.known],
            "scorers": [s.kind for s in _scorers(policy)],
            **_describe_scenes(policy),
        }
    raise TypeError(f"a policy of type {type(policy).__name__} cannot be stored")


def _describe_scenes(policy: Tuned) -> dict[str, Any]:
    """Nothing where no scene has weights of its own: code that knows of none reads that too."""
    if not policy.scenes:
        return {}
    told = [{"scene": s.scene, "kappa": s.kappa, "theta": s.theta.tolist()} for s in policy.scenes]
    # Code that knows of scenes alone reads those.
    return {"scenes": told, **({} if policy.segments == "scene" else {"segments": policy.segments})}


def _scorers(policy: Policy) -> tuple[Scorer, ...]:
    if isinstance(policy, Greedy):
        return (policy.scorer,)
    return policy.scorers if isinstance(policy, Tuned) else ()


def _load_scorers(data: dict[str, Any], folder: Path, loaders: ScorerLoaders) -> tuple[Scorer, ...]:
    kinds = data["scorers"]
    unknown = [k for k in kinds if k not in loaders]
    if unknown:
        raise ValueError(f"{folder}: no loader for scorers of kind {unknown}")
    return tuple(loaders[k](folder / "scorers" / str(i)) for i, k in enumerate(kinds))


def _tensors(policy: FeatureSoftmax) -> dict[str, NDArray[np.float64]]:
    found = {
        "centre": policy.view.centre,
        "directions": policy.view.directions,
        "mean": policy.mean,
        "scale": policy.scale,
        "coefficient": policy.coefficient,
        "intercept": policy.intercept,
    }
    if policy.hidden is not None:
        found |= {f"hidden.{k}": v for k, v in vars(policy.hidden).items()}
    return {name: np.ascontiguousarray(a, np.float64) for name, a in found.items()}


@lru_cache(_SHARED)
def _feature_softmax(description: str, weights: bytes) -> FeatureSoftmax:
    """The same content is the same object, wherever it is read from: many anchor on one."""
    data, found = json.loads(description), load(weights)
    layer = {k.removeprefix("hidden."): v for k, v in found.items() if k.startswith("hidden.")}
    return FeatureSoftmax(
        view=CloneView(
            terms=tuple(Term(**t) for t in data["terms"]),
            categories=tuple(data["categories"]),
            scenes=tuple(data["scenes"]),
            centre=found["centre"],
            directions=found["directions"],
        ),
        mean=found["mean"],
        scale=found["scale"],
        coefficient=found["coefficient"],
        item_id=np.array(data["item_id"], dtype=object),
        intercept=found["intercept"],
        hidden=Hidden(**layer) if layer else None,
        floor=data["floor"],
        name=data["name"],
    )


def _load_tuned(data: dict[str, Any], folder: Path, loaders: ScorerLoaders) -> Tuned:
    fitted = {name: tuple(values) for name, values in data["standardiser"].items()}
    return Tuned(
        anchor=load_policy(folder / "anchor", loaders),
        scorers=_load_scorers(data, folder, loaders),
        known=tuple(Objective(**o) for o in data["known"]),
        standardiser=Standardiser(**fitted),
        kappa=data["kappa"],
        theta=np.array(data["theta"]),
        floor=data["floor"],
        name=data["name"],
        scenes=tuple(
            SceneWeights(s["scene"], s["kappa"], np.array(s["theta"]))
            for s in data.get("scenes", ())
        ),
        segments=data.get("segments", "scene"),
    )
