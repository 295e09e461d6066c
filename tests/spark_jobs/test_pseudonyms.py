from __future__ import annotations

import hashlib
import hmac

import pytest

from spark_jobs.errors import InputError
from spark_jobs.pseudonyms import key_id, pseudonym, user_key


@pytest.mark.spark
@pytest.mark.parametrize(
    "key", [b"k", b"x" * 64, b"longer than a block " * 8, "schlüssel".encode()]
)
def test_equals_python_hmac(spark, key: bytes):
    from pyspark.sql import functions as F

    users = ["1", "alice@example.org", "用户", "x" * 300]
    rows = spark.createDataFrame([(u,) for u in users], "user string")
    found = [r[0] for r in rows.select(pseudonym(F.col("user"), key)).collect()]
    assert found == [hmac.new(key, u.encode(), hashlib.sha256).hexdigest()[:32] for u in users]


@pytest.mark.spark
def test_null_user_has_no_pseudonym(spark):
    from pyspark.sql import functions as F

    rows = spark.createDataFrame([(None,)], "user string")
    assert rows.select(pseudonym(F.col("user"), b"k")).first()[0] is None


@pytest.mark.spark
def test_plans_do_not_show_the_key(spark, capsys: pytest.CaptureFixture[str]):
    from pyspark.sql import functions as F

    key = b"very secret key"
    rows = spark.range(1).select(pseudonym(F.col("id").cast("string"), key))
    rows.explain(extended=True)
    shown = capsys.readouterr().out
    padded = bytes(b ^ 0x36 for b in key.ljust(64, b"\0")).hex().upper()
    assert "sha2" in shown
    assert padded not in shown.upper()


def test_missing_key_names_the_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(InputError, match="MY_KEY"):
        user_key("MY_KEY")


def test_key_id_is_documented_hash():
    assert key_id(b"k") == hashlib.sha256(b"mrlm-key-id" + b"k").hexdigest()[:8]
