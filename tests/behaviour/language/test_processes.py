"""Two processes that share the rows of a step train what one process trains."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mrlm.behaviour.language_settings import LanguageSettings

# Without dropout: processes draw each their own.
_PROGRAM = """
import json, sys
import numpy as np, torch
from torch import distributed
from mrlm.behaviour.language.fine_tuning import TextRows, fine_tune
from mrlm.behaviour.language_settings import LanguageSettings
from mrlm.behaviour.language.texts import text_reader

alone, data, out = sys.argv[1] == "alone", sys.argv[2], sys.argv[3]
if not alone:
    distributed.init_process_group("gloo")
settings = LanguageSettings(**json.loads(data))
reader = text_reader(settings)
texts = [f"film : {a} , {b}" for a in ("action", "comedy", "drama") for b in ("crime", "romance")]
place = np.random.default_rng(0).integers(0, 6, 40)
targets = np.array([["comedy" in texts[i]] for i in place], np.float64)
rows = TextRows(reader.tokens(texts), place[:, None], targets, np.array([True]))
network, _ = fine_tune(reader, rows, settings, 0)
weights = {n: p.detach().numpy().ravel().tolist() for n, p in network.trained().items()}
rank = 0 if alone else distributed.get_rank()
open(f"{out}/{sys.argv[1]}{rank}.json", "w").write(json.dumps(weights))
"""


@pytest.mark.long
def test_two_processes_train_what_one_does(
    small_bert: Path, small_language: LanguageSettings, tmp_path: Path
) -> None:
    config = json.loads((small_bert / "config.json").read_text())
    calm = tmp_path / "calm"
    calm.mkdir()
    for path in small_bert.iterdir():
        (calm / path.name).write_bytes(path.read_bytes())
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (calm / "config.json").write_text(json.dumps(config | still))
    settings = small_language.model_copy(
        update={"model": str(calm), "form": "cross_encoder", "batch_size": 20, "epochs": 2}
    )
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    ask = [settings.model_dump_json(), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, program, "alone", *ask], check=True, env=environment)
    many = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([*many, program, "shared", *ask], check=True, env=environment)
    alone, *shared = (
        json.loads((tmp_path / f"{name}.json").read_text())
        for name in ("alone0", "shared0", "shared1")
    )
    assert shared[0] == shared[1]
    for name, weights in alone.items():
        np.testing.assert_allclose(shared[0][name], weights, atol=1e-5)
