"""Settings of the behaviour model ``sequence``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SequenceSettings(BaseModel):
    """What the behaviour model ``sequence`` adds: a transformer over the history's entries."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    width: int = Field(32, ge=2, description="Width of an entry's state; even.", multiple_of=2)
    layers: int = Field(2, ge=1, description="Layers of the encoder.")
    heads: int = Field(
        2, ge=1, description="Parts that a state is attended by; they share out its width."
    )
    entries: int = Field(
        128,
        ge=4,
        multiple_of=4,
        description="Newest entries of a history that are read: so many, or up to a quarter less.",
    )
    buckets: int = Field(
        1 << 14, ge=1, description="Rows of the table that items' identifiers are hashed into."
    )
    identifier: int = Field(16, ge=1, description="Width of a row of that table.")
    identifier_dropout: float = Field(
        0.9,
        ge=0,
        le=1,
        description="Share of the items that training reads without identifier, so that those are "
        "read well that nobody met.",
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of units left out at a step.")
    epochs: int = Field(5, ge=1, description="Most passes over the fit nights.")
    patience: int = Field(
        2, ge=1, description="Passes without gain on users held back that end the training."
    )
    held_back: float = Field(
        0.1, gt=0, lt=1, description="Share of the users whose loss says when to stop."
    )
    batch_entries: int = Field(1024, ge=8, description="Entries that a step reads, about.")
    learning_rate: float = Field(2e-3, gt=0, description="Highest step size of AdamW.")
    weight_decay: float = Field(1e-2, ge=0, description="Weight decay of AdamW.")
    folds: int = Field(
        2, ge=2, description="A training row's reading leaves out its user's share in this."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="What it is trained on; auto: the GPU when PyTorch sees one."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Of the training; auto: bfloat16 on a GPU that has it, else float32."
    )
