"""Settings of the behaviour model ``language``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class LanguageSettings(BaseModel):
    """What the behaviour model ``language`` adds: a transformer that reads the history's text."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: str | None = Field(
        None, description="Model folder (AutoModel); None takes the packaged MiniLM."
    )
    form: Literal["two_tower", "cross_encoder"] = Field(
        "two_tower",
        description="two_tower: history and candidate are read apart, each once, whatever it is "
        "offered with; cross_encoder: they are read as one text, once a pair.",
    )
    tuning: Literal["head", "low_rank", "full"] = Field(
        "low_rank",
        description="head: the transformer stays as it is; low_rank: its matrices are changed by "
        "products of rank `rank`; full: they are trained themselves.",
    )
    trained_layers: int | None = Field(
        2,
        ge=1,
        description="Upper layers that are trained; what lies below is computed once a text and "
        "kept. None: all, and with `full` the embeddings too.",
    )
    rank: int = Field(8, ge=1, description="Rank of the change of a matrix.")
    width: int = Field(32, ge=1, description="Width in which a user meets a candidate (towers).")
    rows: int = Field(2048, ge=8, description="Shown slots that are drawn to tune on.")
    head_ridge: float = Field(
        10.0, gt=0, description="Ridge of the head when it is fitted alone, on unit vectors."
    )
    head_steps: int = Field(
        100,
        ge=1,
        description="Most steps of the head alone, on untouched vectors, before the rest.",
    )
    epochs: int = Field(2, ge=1, description="Passes over the drawn slots.")
    batch_size: int = Field(32, ge=1, description="Slots in a step.")
    accumulation: int = Field(
        1, ge=1, description="Parts that a step's slots are read in, where memory is short."
    )
    learning_rate: float = Field(
        5e-4, gt=0, description="Highest step size of AdamW; full takes a tenth or less."
    )
    weight_decay: float = Field(1e-2, ge=0, description="Weight decay of AdamW.")
    loss: Literal["huber", "squared"] = Field(
        "huber", description="Of objectives that are no yes or no, in standard deviations."
    )
    max_tokens: int = Field(128, ge=8, description="Tokens of a text that are read.")
    entries: int = Field(16, ge=0, description="Most recent entries of the history in its text.")
    entry_characters: int = Field(
        40, ge=1, description="Characters of an item's text that stand in the text of a history."
    )
    folds: int = Field(
        2, ge=2, description="A training row's reading leaves out its user's share in this."
    )
    checkpoints: str | None = Field(
        None,
        description="Folder in which a run that was killed finds where its tunings were, until its "
        "model is stored; None: it starts anew. Holds weights only.",
    )
    checkpoint_steps: int = Field(50, ge=1, description="Steps between two checkpoints.")
    gradient_checkpoints: bool = Field(
        False, description="Compute activations twice instead of keeping them, to save memory."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto: the GPU when PyTorch sees one."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 on a GPU that has it, else float32."
    )
