from __future__ import annotations

import hashlib
import hmac

import pytest

from spark_jobs.contract.errors import InputError
from spark_jobs.tables.pseudonyms import earlier_key_id, is_known, key_id, pseudonym, user_key


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


@pytest.mark.parametrize(("length", "taken"), [(1, False), (15, False), (16, True), (64, True)])
def test_a_key_has_at_least_sixteen_bytes(
    monkeypatch: pytest.MonkeyPatch, length: int, taken: bool
):
    monkeypatch.setenv("MY_KEY", "x" * length)
    if taken:
        assert user_key("MY_KEY") == b"x" * length
        return
    with pytest.raises(InputError, match=rf"MY_KEY has {length} bytes.*at least 16.*openssl"):
        user_key("MY_KEY", [key_id(b"y" * length)])
    for known in (key_id, earlier_key_id):
        assert user_key("MY_KEY", [known(b"x" * length)]) == b"x" * length


def test_bytes_count_and_not_characters(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_KEY", "用户的钥匙")
    with pytest.raises(InputError, match="15 bytes"):
        user_key("MY_KEY")
    monkeypatch.setenv("MY_KEY", "用户的钥匙。")
    assert len(user_key("MY_KEY")) == 18


def test_key_id_is_documented_hash():
    slow = hashlib.scrypt(b"k", salt=b"mrlm-key-id", n=2**15, r=8, p=1, maxmem=2**26, dklen=8)
    assert key_id(b"k") == slow.hex()
    assert earlier_key_id(b"k") == hashlib.sha256(b"mrlm-key-id" + b"k").hexdigest()[:8]
    assert is_known(b"k", [key_id(b"k")])
    assert is_known(b"k", ["other", earlier_key_id(b"k")])
    assert not is_known(b"k", [key_id(b"other"), earlier_key_id(b"other")])
