"""The served model, as code: MLflow copies this file into every version and runs it on loading.

Nothing is pickled: the weights are the safetensors of the policy bundle among the artifacts. Only
MLflow imports this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow

from mrlm.embeddings.stored_catalog import load_catalog
from mrlm.promotion.serving.answer import answer
from mrlm.promotion.serving.bundle import load_bundle
from mrlm.promotion.serving.live import LiveVersion
from mrlm.promotion.serving.states import STATES_SCHEMA


class _Answers:
    # The schema is in the signature. MLflow would take type hints of predict for a second one, and
    # warns at every load of a model class whose own predict has none: so it is inherited.
    def load_context(self, context: Any) -> None:
        bundle = load_bundle(Path(context.artifacts["bundle"]))
        newer = (context.model_config or {}).get("catalog")
        bound = bundle.with_catalog(load_catalog(Path(newer))) if newer else bundle
        # Nobody is known here, so single precision serves only where it is nearest.
        self.bundle = LiveVersion("", bound, STATES_SCHEMA.empty_table()).quickest().bundle

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        return answer(self.bundle, model_input, **(params or {}))


class ServedPolicy(_Answers, mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Answers requests with items and the probabilities with which it shows them.

    ``load_context`` reads the policy bundle among the version's artifacts, and the catalogue of a
    later night where the model configuration names its folder as ``catalog``. ``predict`` draws a
    list of up to ``k`` items for every row, see ``answer.answer``.
    """


mlflow.models.set_model(ServedPolicy())
