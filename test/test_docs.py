"""README and doc/ name files, options and methods that exist; their code runs."""

import argparse
import importlib
import re
from pathlib import Path

import pytest
import torch
import yaml

from espnet_lmkd.errors import InputError

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / "README.md", *sorted((ROOT / "doc").glob("*.md"))),
    *(ROOT / "benchmarks/README.md", *sorted(ROOT.glob("egs2/*/asr_kd1/README.md"))),
]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
OPTION = re.compile(r"(?<![\w-])--([a-z]\w*)")
# Of recipes that the reader has or makes.
YOURS = re.compile(
    "my_corpus|/asr1/|/exp/|conf/(train_asr_kd|X|training_.*)[.]yaml|[.]conf$"
)
RECIPE = ROOT / "egs2/TEMPLATE/asr_kd1/asr_kd.sh"


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page, language):
    found = BLOCK.findall(page.read_text("utf-8"))
    return [code for kind, code in found if kind == language]


def commands(page):
    """Return the commands of a page's shell code and those in its sentences."""
    text = page.read_text("utf-8")
    inline = re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
    lines = inline
    for code in blocks(page, "sh"):
        lines += re.sub(r"\\\n", " ", code).splitlines()
    # What follows && or a comment is no argument of the first.
    return [part for line in lines for part in re.split(r"&&|\|| # |;", line)]


def options_of_recipes():
    text = RECIPE.read_text()
    text = text.split("# begin of options")[1].split("# end of options")[0]
    return set(re.findall(r"^([a-z_]+)=", text, re.M)) | {"help"}


def options_of(module):
    parsers = [importlib.import_module(f"espnet_lmkd.bin.{module}").get_parser()]
    for action in parsers[0]._actions:
        if isinstance(action, argparse._SubParsersAction):
            parsers += action.choices.values()
    return {
        option[2:]
        for parser in parsers
        for action in parser._actions
        for option in action.option_strings
    }


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_of_this_repository_exist(page):
    text = page.read_text("utf-8")
    for path in re.findall(
        r"(?<![\w/.<>])((?:conf|egs2|scripts|tools)/[\w/.-]+)", text
    ):
        path = path.rstrip(".")
        places = ROOT, page.parent, RECIPE.parent
        if not YOURS.search(path):
            assert any((place / path).exists() for place in places), path


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_have_the_options_they_are_given(page):
    for command in commands(page):
        module = re.search(r"-m espnet_lmkd\.bin\.(\w+)(.*)", command)
        if module:
            assert set(OPTION.findall(module[2])) <= options_of(module[1]), command
        elif (
            re.search(r"run\w*\.sh|asr_kd\.sh", command)
            and "--asr_config " not in command
        ):
            # Those of a stage's own command come in quotation marks or alone.
            own = re.sub(r'"[^"]*"|(?<=_opts) --\w+', "", command)
            given = set(OPTION.findall(own))
            assert given <= options_of_recipes(), command


def distillers_of(page):
    """Return the entries of a page's yaml code: of a configuration, or a list alone."""
    entries = []
    for code in blocks(page, "yaml"):
        parsed = yaml.safe_load(code)
        if isinstance(parsed, dict):
            parsed = parsed.get("model_conf", {}).get("distillers", [])
        assert all("type" in entry for entry in parsed), code
        entries += parsed
    return entries


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_documented_distillers_are_built(page):
    """So both their types and their options exist; those of the reader do not."""
    for entry in distillers_of(page):
        if not entry["type"].startswith("my_pack."):
            build(entry)


def build(entry):
    from espnet_lmkd.distillers import registry
    from espnet_lmkd.distillers.abs_distiller import StudentSpec

    assert set(entry) <= {"type", "name", "weight", "conf"}
    sizes = dict(encoder_size=16, decoder_size=16, predictor_size=16)
    student = StudentSpec(vocab_size=20, num_layers=12, sos=19, eos=19, **sizes)
    return registry.build(entry["type"], student, entry.get("conf", {}))


def test_lists_of_distillers_are_found_and_mistakes_in_them():
    found = distillers_of(ROOT / "doc/lm_embedding.md")
    types = {entry["type"] for entry in found}
    assert {"lm_embedding", "attention_alignment", "lm_embedding_transducer"} <= types
    (entry,) = [entry for entry in found if entry["type"] == "attention_alignment"]
    entry["conf"]["radiuss"] = entry["conf"].pop("radius")
    with pytest.raises(InputError, match="no option .'radiuss'."):
        build(entry)


@pytest.mark.parametrize("page", ["README.md", "doc/new_method.md"])
def test_methods_of_your_own_run(page):
    from espnet_lmkd.padded import Padded

    (code,) = blocks(ROOT / page, "python")
    scope = {}
    exec(code, scope)
    (method,) = [
        x for x in scope.values() if isinstance(x, type) and x.__module__ == "builtins"
    ]
    data, lengths = torch.randn(2, 5, 4, requires_grad=True), torch.tensor([5, 3])
    losses, _ = method(None)({tap: Padded(data, lengths) for tap in method.taps}, {})
    assert losses.shape == (2,) and losses.isfinite().all()
    losses.sum().backward()
    assert data.grad[1, 3:].eq(0).all() and data.grad[1, :3].ne(0).any()
