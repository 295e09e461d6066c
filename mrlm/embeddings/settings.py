"""Settings of the embed stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_Scene = Annotated[str, Field(min_length=1, max_length=256)]
_Text = Annotated[str, Field(min_length=1)]


class EmbeddingSettings(BaseModel):
    """The language model that embeds item text."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    encoder: Literal["transformer", "hashing"] = Field(
        "transformer",
        description="transformer: a pretrained model folder; hashing: signed hashing of words, "
        "no model, for machines and catalogues without one.",
    )
    model: str | None = Field(
        None, description="Model folder (AutoModel); None takes the packaged MiniLM."
    )
    batch_size: int = Field(64, ge=1, description="Texts that are encoded together.")
    max_tokens: int = Field(128, ge=8, description="Tokens of a text that are read.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto: the GPU when PyTorch sees one."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="auto: bfloat16 on a GPU that has it, else float32. Part of the encoder's "
        "fingerprint: vectors of two precisions are never mixed.",
    )
    dimensions: int = Field(256, ge=8, description="Width of the hashing encoder.")
    scene_descriptions: dict[_Scene, _Text] = Field(
        default_factory=dict,
        description="What a scene of the log is, in plain language, by its name: embedded as an "
        "item's text is. Where scenes have weights of their own (tuning.segments), descriptions "
        "tell which are alike, and a scene that was never shown starts by its description.",
    )
