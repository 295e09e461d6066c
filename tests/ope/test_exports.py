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
        "names = ('slates', 'sequential', 'nights.hindcast', 'choice.bounded')\n"
        "late = {'mrlm.ope.' + x for x in names}\n"
        "assert not late & set(sys.modules)\n"
        "o.slates.SIPS, o.rows_for_gain, o.bounded_estimates\n"
        "assert {'mrlm.ope.slates', 'mrlm.ope.choice.bounded'} <= set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_estimator_is_imported_when_it_is_asked_for():
    code = (
        "import sys, mrlm.ope as o, mrlm.ope.registry as r\n"
        "room = 'mrlm.ope.estimators.'\n"
        "here = lambda: {m.removeprefix(room) for m in sys.modules if m.startswith(room)}\n"
        "assert len(r.FAMILY) == 17 and 'dr' in o.ESTIMATORS and 'mrdr' not in o.ESTIMATORS\n"
        "assert here() <= {'shrinking'}, here()\n"
        "assert o.ESTIMATORS['dr'] is o.FAMILY['dr']\n"
        "assert here() == {'shrinking', 'dr'}, here()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_estimator_has_the_name_it_is_found_under():
    assert {name: e.name for name, e in mrlm.ope.FAMILY.items()} == {
        name: name for name in mrlm.ope.FAMILY
    }
    with pytest.raises(KeyError):
        mrlm.ope.ESTIMATORS["mrdr"]
