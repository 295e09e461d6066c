"""Embed: a language model over item text; only new or changed text is encoded."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mrlm.bandit_log import Catalog
from pipelines.contract.context import NightContext
from pipelines.contract.stage import Product

if TYPE_CHECKING:
    from mrlm.embeddings.contract import Encoder


class Embed:
    """Gives every item of tonight's catalogue its embedding, and every described scene."""

    name = "embed"
    place: Literal["lake"] = "lake"
    sections = ("embedding",)
    form = 1

    def plan(self, context: NightContext) -> Encoder:
        """The encoder of the settings."""
        from mrlm.embeddings.factory import make_encoder

        context.lake("ingest").require()
        return make_encoder(context.settings.embedding)

    def inputs(self, context: NightContext, plan: Encoder) -> dict[str, str]:
        """Tonight's catalogue, and the content of the model."""
        ingest = context.lake("ingest").require()
        return {"catalog": ingest.outputs["catalog"].fingerprint, "encoder": plan.fingerprint}

    def run(self, context: NightContext, plan: Encoder, out: Path) -> Product:
        """Encode what the store lacks and write catalogue and embeddings side by side."""
        from mrlm.embeddings.embed_catalog import embed_catalog
        from mrlm.embeddings.embed_texts import embed_texts
        from mrlm.embeddings.scene_vectors import SCENES, save_scene_vectors
        from mrlm.embeddings.store import EmbeddingStore
        from mrlm.embeddings.stored_catalog import EMBEDDING, ITEMS, save_catalog

        store = EmbeddingStore(context.workspace.embeddings)
        catalog, counts = embed_catalog(
            Catalog.read(context.lake("ingest").path("catalog")),
            plan,
            store,
            progress=partial(context.progress, "items encoded"),
        )
        save_catalog(catalog, out)
        described = context.settings.embedding.scene_descriptions
        if described:
            vectors, _ = embed_texts(list(described.values()), plan, store)
            save_scene_vectors(dict(zip(described, vectors, strict=True)), out)
        log = context.log(self.name)
        for shard, why in store.set_aside.items():
            log.warning("%s was damaged (%s): its texts were encoded again", shard, why)
        log.info("encoded %d, reused %d", counts.encoded, counts.reused)
        if counts.without_text:
            log.info("without text %d: their vectors are 0", counts.without_text)
        return Product(
            outputs={
                "catalog": ITEMS,
                "embedding": EMBEDDING,
                **({"scenes": SCENES} if described else {}),
            },
            counts={
                "encoded": counts.encoded,
                "reused": counts.reused,
                "items_without_text": counts.without_text,
                "items": len(catalog),
                "encoder": plan.fingerprint,
            },
        )


STAGE = Embed()
