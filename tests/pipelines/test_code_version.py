"""The code version of a stage is of the sources that it imports, and of no others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.contract.code_version import code_version
from pipelines.contract.imports import PACKAGES, Sources
from pipelines.stages import DATA, ORDER
from tests.deployment import ROOT

# In a new process: a process keeps the version that it saw first.
_ASK = """
import json, sys
from pipelines.contract.code_version import code_version
from pipelines.stages import ORDER
found = {n: code_version(f"pipelines.stages.{n}") for n in ORDER}
print(json.dumps([found, sorted({"torch", "mlflow", "pyspark", "scipy"} & set(sys.modules))]))
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, which tests may change."""
    folder = tmp_path_factory.mktemp("sources")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    return folder


@pytest.fixture(scope="module")
def changed(copied: Path) -> Callable[[str], set[str]]:
    """The stages for which a file counts that is changed."""

    def sources() -> dict[str, dict[str, str]]:
        found = Sources(copied)
        return {n: found.of(f"pipelines.stages.{n}") for n in ORDER}

    before = sources()

    def of(name: str) -> set[str]:
        with another_line(copied / name):
            after = sources()
        return {n for n in ORDER if after[n] != before[n]}

    return of


@contextmanager
def another_line(path: Path) -> Iterator[None]:
    text = path.read_text()
    path.write_text(f"{text}\n# another line\n")
    try:
        yield
    finally:
        path.write_text(text)


def versions(folder: Path) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found, heavy = json.loads(done.stdout)
    assert not heavy, "asking imports what the stage imports"
    return dict(found)


def test_a_process_started_after_a_change_has_another_version(copied: Path) -> None:
    before = versions(copied)
    assert before == {n: code_version(f"pipelines.stages.{n}") for n in ORDER}
    with another_line(copied / "mrlm/ope/nights/mixtures.py"):
        after = versions(copied)
    assert after["evaluate"] != before["evaluate"]
    assert after["ingest"] == before["ingest"]


LEARNED = ("learn_behaviour", "learn_policy")


def test_what_evaluate_alone_imports_changes_it_and_no_stage_before(
    changed: Callable[[str], set[str]],
) -> None:
    found = changed("mrlm/ope/nights/mixtures.py")
    assert "evaluate" in found
    assert not found & {*DATA, *LEARNED, "tune_weights"}


def test_what_a_spark_job_imports_changes_its_stage(changed: Callable[[str], set[str]]) -> None:
    assert changed("spark_jobs/contract/schemas.py") & {"ingest", "build_log", "embed"} == {
        "ingest",
        "build_log",
    }


def test_an_estimator_counts_however_it_is_loaded(changed: Callable[[str], set[str]]) -> None:
    found = changed("mrlm/ope/estimators/dr.py")
    assert "evaluate" in found
    assert not found & set(DATA)


def test_a_learner_counts_for_who_learns(changed: Callable[[str], set[str]]) -> None:
    assert "learn_policy" in changed("mrlm/learners/sequential/q_learning.py")


def test_a_template_counts_for_who_fills_it(changed: Callable[[str], set[str]]) -> None:
    assert changed("mrlm/report/review_page.html.j2") == {"gate"}


def test_the_contract_counts_for_all_and_worlds_for_none(
    changed: Callable[[str], set[str]],
) -> None:
    assert changed("pipelines/contract/stage.py") == set(ORDER)
    assert changed("mrlm/worlds/latent.py") == set()


def test_every_template_is_named_by_a_module_beside_it() -> None:
    """Otherwise it would count for nobody."""
    templates = [p for package in PACKAGES for p in (ROOT / package).rglob("*.j2")]
    assert templates
    for path in templates:
        assert any(path.name in p.read_text() for p in path.parent.glob("*.py")), path


FILES = {
    "mrlm/__init__.py": "from importlib import import_module\n"
    "from typing import TYPE_CHECKING\n"
    "if TYPE_CHECKING:\n    from mrlm.late import Late as Late\n"
    "def __getattr__(name):\n    return getattr(import_module('mrlm.late'), name)\n",
    "mrlm/late.py": "class Late: ...\n",
    "mrlm/eager/__init__.py": "from mrlm.eager.one import One\n",
    "mrlm/eager/one.py": "One = 1\n",
    "mrlm/eager/two.py": "",
    "mrlm/family/__init__.py": "",
    "mrlm/family/registry.py": "import importlib\n"
    "def load(name): return importlib.import_module('mrlm.family.' + name)\n",
    "mrlm/family/member.py": "from .parts import part\n",
    "mrlm/family/parts.py": "part = 1\n",
    "mrlm/page.py": "TEMPLATE = 'page.html.j2'\n",
    "mrlm/page.html.j2": "",
    "mrlm/other.html.j2": "",
    "pipelines/__init__.py": "",
}


@pytest.mark.parametrize(
    ("source", "counted"),
    [
        ("", {"mrlm/__init__.py"}),
        ("def f():\n    import mrlm.eager.two\n", {"mrlm/eager/two.py"}),
        ("try:\n    import mrlm.late as x\nexcept ImportError:\n    pass\n", {"mrlm/late.py"}),
        ("if TYPE_CHECKING:\n    from mrlm.late import Late\n", set()),
        ("from mrlm import Late\n", {"mrlm/late.py"}),
        ("from mrlm.eager import One\n", {"mrlm/eager/one.py"}),
        ("from mrlm.eager import two\n", {"mrlm/eager/two.py", "mrlm/eager/__init__.py"}),
        ("from mrlm import eager\n", {"mrlm/eager/__init__.py", "mrlm/eager/one.py"}),
        ("from mrlm.family.registry import load\n", {"mrlm/family/member.py"}),
        ("from mrlm.family import member\n", {"mrlm/family/parts.py"}),
        ("import mrlm\n", {"mrlm/late.py", "mrlm/eager/two.py", "mrlm/family/parts.py"}),
        ("from mrlm import page\n", {"mrlm/page.html.j2"}),
    ],
)
def test_imports_are_followed(tmp_path: Path, source: str, counted: set[str]) -> None:
    for name, text in {**FILES, "mrlm/asked.py": source}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = set(Sources(tmp_path).of("mrlm.asked"))
    assert counted <= found
    least = {"mrlm/__init__.py", "mrlm/asked.py"}
    assert "mrlm/other.html.j2" not in found
    if not counted:
        assert found == least
    for offered in ("mrlm/late.py", "mrlm/eager/one.py"):
        asked = offered in counted or source == "import mrlm\n"
        assert (offered in found) == asked, "an __init__ on the way is not used"


def test_a_stage_of_somebody_elses_counts_its_own_file(tmp_path: Path) -> None:
    found = Sources(ROOT).of(__name__)
    assert Path(__file__).relative_to(ROOT).as_posix() in found
    assert "pipelines/contract/imports.py" in found
    with pytest.raises(ModuleNotFoundError, match=r"nobody\.knows"):
        Sources(tmp_path).of("nobody.knows")
