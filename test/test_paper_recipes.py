"""Recipes of hundreds of hours on 20 utterances in their corpus's layout, stages 1-13.

Their own configurations, with the sizes of their models cut.
"""

import re

import numpy as np
import pytest
import soundfile
import yaml
from one_process import run_recipe

from espnet_lmkd.data.recipes import make_recipe

CHARACTERS = "而对楼市成交抑制作用最大的限购也成为地方政府"
# Utterances of each part.
LIBRISPEECH = {
    "train-clean-100": 6,
    "train-clean-360": 3,
    "train-other-500": 3,
    "dev-clean": 2,
    "dev-other": 2,
    "test-clean": 2,
    "test-other": 2,
}
AISHELL = {"train": 14, "dev": 3, "test": 3}
SMALL = dict(
    # training
    accum_grad=1,
    max_epoch=1,
    max_steps=5,
    num_workers=0,
    warmup_steps=2,
    use_amp=False,
    # recognisers
    output_size=16,
    attention_heads=2,
    linear_units=24,
    cnn_module_kernel=3,
    joint_space_size=16,
    # language models
    embed_unit=16,
    att_unit=16,
    head=2,
    unit=24,
    layer=1,
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    # searches
    beam_size=2,
    maxlenratio=-5,
)


def write_audio(path, number):
    rng = np.random.default_rng(number)
    samples = rng.normal(0, 0.1, 32_000 + 800 * (number % 5))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, 16_000, subtype="PCM_16")


def made_up(number):
    """Three words of an own language, in capitals."""
    rng = np.random.default_rng(number)
    consonants = rng.choice(list("BCDFGHJKLMNPRSTVW"), (3, 2))
    vowels = rng.choice(list("AEIOUY"), (3, 2))
    letters = np.stack([consonants, vowels], 2).reshape(3, 4)
    return " ".join("".join(word) for word in letters)


def write_librispeech(folder):
    parts, number = list(LIBRISPEECH), 0
    for part, count in LIBRISPEECH.items():
        for index in range(count):
            number += 1
            speaker = f"{parts.index(part)}{index % 2}"
            chapter = folder / part / speaker / f"{number}"
            utterance = f"{speaker}-{number}-0000"
            write_audio(chapter / f"{utterance}.flac", number)
            line = f"{utterance} {made_up(number)}\n"
            (chapter / f"{speaker}-{number}.trans.txt").write_text(line)


def write_aishell(folder):
    lines, number = [], 0
    for part, count in AISHELL.items():
        for index in range(count):
            number += 1
            speaker = f"S{len(lines) // 4:04d}"
            utterance = f"BAC009{speaker}W{number:04d}"
            write_audio(folder / f"wav/{part}/{speaker}/{utterance}.wav", number)
            start = number % (len(CHARACTERS) - 6)
            lines.append(f"{utterance} {CHARACTERS[start : start + 6]}\n")
    (folder / "transcript").mkdir()
    path = folder / "transcript" / "aishell_transcript_v0.8.txt"
    path.write_text("".join(lines), "utf-8")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """What stands for a BERT and a wav2vec 2.0 of the hub."""
    import transformers

    root = tmp_path_factory.mktemp("models")
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    vocabulary += [f"##{letter}" for letter in letters] + list(CHARACTERS)
    (root / "vocab.txt").write_text("\n".join(dict.fromkeys(vocabulary)) + "\n")
    tokenizer = transformers.BertTokenizerFast(str(root / "vocab.txt"))
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    tokenizer.save_pretrained(root / "bert")
    transformers.BertForMaskedLM(config).save_pretrained(root / "bert")
    config = transformers.Wav2Vec2Config(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        conv_dim=[8] * 7,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    transformers.Wav2Vec2Model(config).save_pretrained(root / "wav2vec2")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(root / "wav2vec2")
    return root


def small_copy(name, folder, models):
    """Copy a recipe; it keeps all but sizes, and the pretrained models."""

    def cut(value):
        if isinstance(value, dict):
            return {k: SMALL.get(k, cut(v)) for k, v in value.items()}
        if isinstance(value, str) and value.startswith("facebook/wav2vec2"):
            return str(models / "wav2vec2")
        return value

    make_recipe(name, folder)
    for path in (folder / "conf").rglob("*.yaml"):
        path.write_text(yaml.safe_dump(cut(yaml.safe_load(path.read_text()))))
    for path in folder.glob("run*.sh"):
        path.write_text(re.sub(r"(bpe ?)[15]000", r"\g<1>32", path.read_text()))
    return folder


RECIPES = [  # and how many trainings they are
    ("librispeech_100", "run.sh", [], 4),
    ("librispeech_100", "run_lm_embedding.sh", [], 3),
    ("librispeech_100", "run_transducer.sh", [], 6),
    ("librispeech", "run.sh", ["--asr_args", "", "--use_lm", "false"], 3),
    ("aishell", "run.sh", [], 5),
]


@pytest.mark.parametrize("name, script, options, trainings", RECIPES)
def test_stages_1_to_13(name, script, options, trainings, models, tmp_path):
    corpus = tmp_path / "corpus"
    write_aishell(corpus) if name == "aishell" else write_librispeech(corpus)
    recipe = small_copy(name, tmp_path / "recipe", models)
    options = ["--stop_stage", "13", "--nj", "1", *options]
    if "--hidden_teacher" in (recipe / script).read_text():
        options += ["--hidden_teacher", models / "bert"]
    variable = "AISHELL" if name == "aishell" else "LIBRISPEECH"
    ran = run_recipe(recipe, f"./{script}", *options, **{variable: corpus})
    assert ran.returncode == 0, ran.stdout[-3000:]
    results = {path.parent.parent for path in recipe.glob("exp/*/*/*/score_cer")}
    trained = {path.parent for path in recipe.glob("exp/asr_*/checkpoint.pth")}
    assert len(trained) == trainings
    assert {path.parent for path in results} == trained
