"""What `mrlm ope` prints: short, of the terminal's width, and no name can break it."""

from __future__ import annotations

import html
import re
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len

from tests.pipelines.in_process import mrlm

HOSTILE = {
    "markup": "[/]",
    "style": "[bold red]x[/bold red]",
    "link": "[link=http://x]y[/link]",
    "escape": "\x1b[31mred\x1b[0m",
    "bell": "a\x07b\x00c",
    "lines": "one\ntwo\rthree\u2028four",
    "reversed": "new\u202e 9.0",
    "hebrew": "שלום",
    "arabic": "سياسة 12",
    "wide": "推荐策略" * 30,
    "script": "<script>alert(1)</script>",
    "attribute": '"><img src=x onerror=alert(1)>',
    "template": "{{ 7 * 7 }}{% raw %}",
    "formula": "$\\frac{1}{$ $^$ _x^{y}",
    "spaces": "a\u00a0\u3000b",
    "long": "long " * 2000,
    "one word": "w" * 5000,
}


def log(policies: list[str], objectives: list[str], path: Path, n: int = 2000) -> Path:
    """A table whose policies differ; the last of them is refused."""
    g = np.random.default_rng(0)
    action = g.integers(0, 2, n)
    columns = {"user_id": g.integers(0, 400, n), "propensity": np.full(n, 0.5)}
    for k, name in enumerate(policies):
        one = 0.2 + 0.6 * k / len(policies)
        rare = np.where(g.random(n) < 0.02, 1.0, 0.0)
        target = np.where(action == 1, one, 1 - one) if k + 1 < len(policies) else rare
        columns[f"target_probability_{name}"] = target
    for name in objectives:
        columns[f"reward_{name}"] = (g.random(n) < 0.2 + 0.2 * action).astype(float)
    pq.write_table(pa.table(columns), path)
    return path


def printed(path: Path, *options: str) -> list[str]:
    done = mrlm("ope", str(path), *options)
    assert done.code == 0, done.err
    assert done.err == ""
    return done.out.splitlines()


@pytest.mark.parametrize("width", [80, 120, None])
def test_the_choice_comes_first_and_every_line_fits(tmp_path, monkeypatch, width):
    """None: no terminal and no COLUMNS, as in a pipe."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if width is not None:
        monkeypatch.setenv("COLUMNS", str(width))
    lines = printed(log(["a", "b", "rare"], ["click", "buy"], tmp_path / "log.parquet"))
    assert max(map(cell_len, lines)) <= (width or 80)
    assert len(lines) < 45
    assert lines[2] == "click: no estimator is certified for every policy"
    summary = lines[3:6]
    assert [s.split()[0] for s in summary] == ["a", "b", "rare"]
    assert re.fullmatch(r"  a +snips +0\.\d+ +\[0\.\d+, 0\.\d+\] +certified", summary[0])
    assert re.match(r"  rare +refused \(1(, \d)*\).*: ", summary[2])
    differences, refused = lines.index("Paired differences"), lines.index("Refused")
    assert 3 < differences < refused
    assert not any(" - " in line for line in lines[:differences])
    # Each reason once, with the number that the lines name.
    notes = [line for line in lines[refused:] if re.match(r"  \(\d+\) ", line)]
    assert len(notes) == len({n.split(") ", 1)[1] for n in notes})
    assert not any("certified" in line for line in lines[refused:])


def test_a_refused_value_is_printed_with_all_only(tmp_path):
    path = log(["a", "rare"], ["click"], tmp_path / "log.parquet")
    short, whole = printed(path), printed(path, "--all")
    (refused,) = [line for line in short if line.startswith("  rare")]
    assert not re.search(r"\d\.\d+  +\[", refused)
    assert not any(re.match(r"  rare, click, ips: +[\d.]+ +refused", line) for line in short)
    assert any(re.match(r"  rare, click, ips: +[\d.]+ +refused \(1", line) for line in whole)
    assert set(short[:-2]) <= set(whole)


def test_many_policies_stay_short(tmp_path):
    path = log([f"p{i}" for i in range(20)], ["click"], tmp_path / "log.parquet")
    lines = printed(path)
    assert len(lines) < 70
    assert any(re.match(r"  and \d+ more, see --all", line) for line in lines)
    assert len(printed(path, "--all")) > 400


@pytest.mark.parametrize("where", ["policy", "objective"])
def test_no_name_breaks_the_text_or_the_page(tmp_path, monkeypatch, where):
    monkeypatch.setenv("COLUMNS", "80")
    names = [*HOSTILE.values()]
    policies = names if where == "policy" else ["plain", "rare"]
    objectives = names if where == "objective" else ["click"]
    path = log(policies, objectives, tmp_path / "log.parquet")
    page = tmp_path / "page.html"
    for options in ([], ["--all", "--html", str(page)]):
        lines = printed(path, *options)
        text = "\n".join(lines)
        for line in lines:
            assert cell_len(line) <= 80
            assert line.count("\u2068") == line.count("\u2069")
        odd = {c for c in text if not c.isprintable()} - {"\n", "\u2068", "\u2069"}
        assert not odd, [unicodedata.name(c, hex(ord(c))) for c in odd]
        for name in names:
            if len(name) < 24 and name.isprintable():
                assert name in text
    whole = page.read_text()
    assert "<script" not in whole
    assert re.findall(r"<img [^>]*", whole) == re.findall(
        r'<img alt="[^"]*" src="data:[^>]*', whole
    )
    assert HOSTILE["template"] in html.unescape(whole)
    assert not {c for c in whole if not c.isprintable()} - {"\n", "\u2068", "\u2069"}


def test_the_page_has_the_order_of_the_text(tmp_path):
    path = log(["a", "rare"], ["click"], tmp_path / "log.parquet")
    page = tmp_path / "page.html"
    printed(path, "--html", str(page))
    whole = page.read_text()
    heads = ["What to take", "Paired differences", "<h2>Refused", "<figure", "<details>"]
    places = [whole.index(h) for h in heads]
    assert places == sorted(places)
    assert "clipped_ips" not in whole


def test_a_page_of_nothing_but_refusals(tmp_path):
    path = log(["a", "rare"], ["click"], tmp_path / "log.parquet")
    page = tmp_path / "page.html"
    lines = printed(path, "--estimators", "dm", "--html", str(page))
    assert "  (1) dm needs the column v_hat" in lines
    assert "dm needs the column v_hat" in page.read_text()


def test_a_name_in_a_message_is_escaped(tmp_path):
    path = log(["a\x1b[2J\u202e", "b"], ["click"], tmp_path / "log.parquet")
    table = pq.read_table(path)
    wrong = table.set_column(2, table.column_names[2], pa.array(np.full(len(table), 2.0)))
    pq.write_table(wrong, path)
    done = mrlm("ope", str(path))
    assert done.code == 10
    assert "\x1b" not in done.err
    assert "\u202e" not in done.err
    assert r"a\u001b[2J" in done.err
