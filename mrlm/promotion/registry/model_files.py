"""The MLflow model of a version: code, signature, requirements, example; no pickle."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mrlm.promotion.serving.answer import DEFAULT_K
from mrlm.promotion.serving.bundle import load_bundle, scorer_kinds

_NEEDED = ("mlflow", "numpy", "pandas", "pyarrow", "pydantic", "safetensors", "scipy")
# The folder of ``mrlm``, found without importing it: its front door names every room.
_PACKAGE = Path(__file__).resolve().parents[2]


def log_served_model(name: str, artifacts: dict[str, Path]) -> Any:
    """Log the served model into the active MLflow run and return its ``ModelInfo``.

    Args:
        name: of the logged model.
        artifacts: ``bundle`` and whatever else travels with the version, to where it lies.
    """
    import mlflow

    bundle = artifacts["bundle"]
    with _no_bytecode():
        return mlflow.pyfunc.log_model(
            name=name,
            python_model=str(_PACKAGE / "promotion" / "serving" / "served_model.py"),
            artifacts={n: str(p) for n, p in artifacts.items()},
            signature=signature(),
            input_example=(_example(bundle), {"k": 2, "seed": 0}),
            # MLflow lets whoever loads a model set only what it was logged with.
            model_config={"catalog": ""},
            pip_requirements=requirements(bundle),
            # The version brings its own code: it answers alike after this package has moved on.
            code_paths=[str(_PACKAGE)],
        )


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """MLflow tries the example on the model where it lies; Python would leave its cache there."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def signature() -> Any:
    """Columns and parameters of ``predict``; see ``answer.answer``."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array, Map

    strings, doubles = Array(DataType.string), Array(DataType.double)
    return ModelSignature(
        inputs=Schema(
            [
                ColSpec("string", "request_id"),
                ColSpec("string", "user"),
                ColSpec("string", "scene", required=False),
                ColSpec("datetime", "ts", required=False),
                ColSpec(strings, "candidates"),
                ColSpec(strings, "history_items", required=False),
                ColSpec(doubles, "history_values", required=False),
                ColSpec(Map(doubles), "history_rewards", required=False),
            ]
        ),
        outputs=Schema(
            [
                ColSpec("string", "request_id"),
                ColSpec(strings, "items"),
                ColSpec(doubles, "propensities"),
                ColSpec(Array(strings), "candidates"),
                ColSpec(Array(doubles), "candidate_propensities"),
                ColSpec(strings, "dropped"),
            ]
        ),
        params=ParamSchema([ParamSpec("k", "long", DEFAULT_K), ParamSpec("seed", "long", 0)]),
    )


def requirements(bundle_folder: Path) -> list[str]:
    """Pinned packages that a server of this bundle needs; torch only where a scorer does."""
    names = (*_NEEDED, "torch") if scorer_kinds(bundle_folder) else _NEEDED
    # A local build such as 2.13.0+cpu is not on a package index under that name.
    return [f"{n}=={version(n).split('+')[0]}" for n in names]


def _example(bundle_folder: Path) -> Any:
    import pandas as pd

    items = [str(i) for i in load_bundle(bundle_folder).catalog.item_id[:4]]
    return pd.DataFrame(
        {
            "request_id": ["example"],
            "user": ["somebody"],
            "scene": ["default"],
            "candidates": [items],
            "history_items": [items[:1]],
            "history_values": [[1.0]],
        }
    )
