"""The examples of docstrings print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import espnet_lmkd

MODULES = [
    module.name
    for module in pkgutil.walk_packages(espnet_lmkd.__path__, "espnet_lmkd.")
    if not module.ispkg
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_there_are_examples():
    modules = map(importlib.import_module, MODULES)
    assert sum(doctest.testmod(module).attempted for module in modules) > 150
