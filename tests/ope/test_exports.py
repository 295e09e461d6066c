from __future__ import annotations

import subprocess
import sys

import pytest

import mrlm.ope


@pytest.mark.parametrize("name", mrlm.ope.__all__)
def test_every_exported_name_is_there(name):
    assert getattr(mrlm.ope, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        mrlm.ope.nonsense  # noqa: B018


def test_what_is_not_asked_for_is_not_imported():
    code = (
        "import sys, mrlm.ope as o\n"
        "late = {'mrlm.ope.' + x for x in ('slates', 'sequential', 'hindcast', 'bounded')}\n"
        "assert not late & set(sys.modules)\n"
        "o.slates.SIPS, o.rows_for_gain, o.bounded_estimates\n"
        "assert 'mrlm.ope.slates' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
