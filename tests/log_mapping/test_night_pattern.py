"""Nights in paths."""

from __future__ import annotations

import pytest

from mrlm.log_mapping.night_pattern import night_pattern
from pipelines.settings.night_path import checked_night_path, night_path

PATHS = {
    "log/2019-11-24/part-0.json": "log/{night}/part-0.json",
    "log/dt=20191124/x.csv": "log/dt={night:%Y%m%d}/x.csv",
    "log/2019/11/24_0.json": "log/{night:%Y/%m/%d}_0.json",
    "year=2019/month=11/day=24/a": "year={night:%Y}/month={night:%m}/day={night:%d}/a",
    "clicks_2019_11_24.csv.gz": "clicks_{night:%Y_%m_%d}.csv.gz",
    "v1.2/20180101/log.2019.11.24": "v1.2/20180101/log.{night:%Y.%m.%d}",
}


@pytest.mark.parametrize("path", PATHS)
def test_the_pattern_of_a_path_gives_the_path_back(path: str) -> None:
    found = night_pattern(path)
    assert (found.pattern, found.night) == (PATHS[path], "2019-11-24")
    assert checked_night_path(found.pattern) == found.pattern
    assert night_path(found.pattern, "2019-11-24") == path


@pytest.mark.parametrize(
    "path", ["log/part-0.json", "id-20191350.csv", "9201911240/x", "2019-02-30"]
)
def test_a_number_that_is_no_date_is_no_night(path: str) -> None:
    assert night_pattern(path).night is None


def test_a_form_that_is_no_dates_is_refused() -> None:
    with pytest.raises(ValueError, match="no form of a date"):
        checked_night_path("log/{night:%H}")
