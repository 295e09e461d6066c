"""The encoder that the settings name."""

from __future__ import annotations

from mrlm.embeddings.contract import Encoder
from mrlm.embeddings.settings import EmbeddingSettings


def make_encoder(settings: EmbeddingSettings) -> Encoder:
    """Build the encoder; a transformer is loaded from its folder, nothing is downloaded.

    Raises:
        FileNotFoundError: the model folder, or the package that holds the default one, is absent.
    """
    if settings.encoder == "hashing":
        from mrlm.embeddings.hashing import HashingEncoder

        return HashingEncoder(settings.dimensions)
    from mrlm.embeddings.transformer import TransformerEncoder, packaged_model_folder

    return TransformerEncoder(
        settings.model or packaged_model_folder(),
        batch_size=settings.batch_size,
        max_tokens=settings.max_tokens,
        device=settings.device,
        precision=settings.precision,
    )
