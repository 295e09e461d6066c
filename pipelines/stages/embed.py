"""Embed: a language model over item text; only new or changed text is encoded."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from mrlm.bandit_log import Catalog
from pipelines.contract.context import NightContext
from pipelines.contract.stage import Product, read_output, require


class Embed:
    """Gives every item of tonight's catalogue its embedding."""

    name = "embed"
    place: Literal["lake"] = "lake"
    sections = ("embedding",)
    form = 1

    def inputs(self, context: NightContext) -> dict[str, str]:
        """Tonight's catalogue, and the content of the model."""
        from mrlm.embeddings.factory import make_encoder

        folder = context.workspace.lake_stage(context.night, "ingest")
        manifest = require(folder, "ingest", context.night)
        return {
            "catalog": manifest.outputs["catalog"].fingerprint,
            "encoder": make_encoder(context.settings.embedding).fingerprint,
        }

    def run(self, context: NightContext, out: Path) -> Product:
        """Encode what the store lacks and write catalogue and embeddings side by side."""
        import pyarrow.parquet as pq
        from safetensors.numpy import save_file

        from mrlm.embeddings.catalog import embed_catalog
        from mrlm.embeddings.factory import make_encoder
        from mrlm.embeddings.store import EmbeddingStore

        folder = context.workspace.lake_stage(context.night, "ingest")
        encoder = make_encoder(context.settings.embedding)
        store = EmbeddingStore(context.workspace.embeddings)
        catalog, counts = embed_catalog(
            Catalog.read(read_output(folder, "catalog")),
            encoder,
            store,
            progress=partial(context.progress, "items encoded"),
        )
        pq.write_table(catalog.to_table(), out / "catalog.parquet")
        if catalog.embedding is None:
            raise RuntimeError("embed_catalog returned a catalogue without embeddings")
        save_file({"embedding": catalog.embedding}, out / "embedding.safetensors")
        log = context.log(self.name)
        for shard, why in store.set_aside.items():
            log.warning("%s was damaged (%s): its texts were encoded again", shard, why)
        log.info("encoded %d, reused %d", counts.encoded, counts.reused)
        return Product(
            outputs={"catalog": "catalog.parquet", "embedding": "embedding.safetensors"},
            counts={
                "encoded": counts.encoded,
                "reused": counts.reused,
                "items": len(catalog),
                "encoder": encoder.fingerprint,
            },
        )


STAGE = Embed()
