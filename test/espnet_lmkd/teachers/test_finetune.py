import json
import random

import pytest
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertConfig,
    BertTokenizer,
    Trainer,
)

from espnet_lmkd.errors import InputError
from espnet_lmkd.teachers.config import complete_config, read_config
from espnet_lmkd.teachers.finetune import prepare_teacher
from espnet_lmkd.teachers.from_scratch import wordpiece_tokenizer
from espnet_lmkd.teachers.lm_text import read_sentences, split_sentences
from espnet_lmkd.teachers.masked_lm import MaskedLMTeacher

MODERNBERT = dict(
    model_type="modernbert",
    hidden_size=32,
    intermediate_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    global_attn_every_n_layers=1,
    max_position_embeddings=32,
)
TRAINING = dict(
    max_steps=300,
    per_device_train_batch_size=16,
    learning_rate=3e-3,
    warmup_steps=30,
    disable_tqdm=True,
)
STUDENT = dict(mode="student", model=MODERNBERT, training=TRAINING, mlm_probability=0.3)


@pytest.fixture
def lm_text(tmp_path):
    """Sentences in which most letters follow from their neighbours."""
    generator = random.Random(0)

    def run():
        word = generator.choice(["abcd", "efgh", "ijkl"]) * 4
        start = generator.randrange(4)
        return word[start : start + generator.randrange(3, 9)]

    path = tmp_path / "lm_train.txt"
    path.write_text("".join(" ".join(run() + run()) + "\n" for _ in range(1000)))
    return path


@pytest.fixture
def train(lm_text, tokens, tmp_path):
    def train(config=STUDENT, out=tmp_path / "out", **conf):
        arguments = dict(token_type="word", token_list=tokens, device="cpu")
        return prepare_teacher(config, lm_text, out, **{**arguments, **conf})

    return train


def test_student_mode_learns_and_is_found_finished(train, tokens, tmp_path):
    record = train()
    out = tmp_path / "out"
    after, before = record["after"], record["before"]
    assert after["masked_accuracy"] > 2 * before["masked_accuracy"] + 0.2
    assert record["num_held_out"] > 0 and record["source"] == "scratch"
    assert json.loads((out / "lmkd_teacher.json").read_text()) == record
    assert (out / "tokens.txt").read_text().splitlines() == tokens
    assert not list(out.glob("checkpoints-*"))

    teacher = MaskedLMTeacher.from_pretrained(out, tokens, device="cpu")
    assert teacher.tokenizer("a b z").input_ids == [14, 2, 3, 1, 14]
    assert train() == record, "finished: left alone"
    with pytest.raises(InputError, match="made with another seed"):
        train(seed=1)


def test_wordpiece_mode_learns_on_pieces_of_its_own(train, lm_text, tmp_path):
    words = lm_text.read_text().replace(" ", "").upper()
    lm_text.write_text(words)
    record = train(dict(STUDENT, mode="wordpiece", vocab_size=30), token_list=None)
    assert record["token_type"] == "hugging_face" and record["source"] == "scratch"
    assert record["after"]["masked_loss"] < record["before"]["masked_loss"] - 0.5
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    again = wordpiece_tokenizer(words.splitlines(), 30)
    assert tokenizer.get_vocab() == again.get_vocab(), "the same text, the same pieces"
    assert tokenizer.pad_token_id == 0
    pieces = tokenizer.tokenize(words.splitlines()[0])
    assert "".join(piece.removeprefix("##") for piece in pieces).upper() in words
    assert all(piece.startswith("##") for piece in pieces[1:])


def test_resumes_from_the_last_whole_checkpoint(train, tmp_path, monkeypatch):
    steps = []
    step = Trainer.training_step
    monkeypatch.setattr(
        Trainer, "training_step", lambda *args: steps.append(1) or step(*args)
    )
    config = dict(STUDENT, training=dict(TRAINING, max_steps=8, save_steps=3))
    with monkeypatch.context() as patch:
        patch.setattr(MaskedLMTeacher, "score", fail_the_second_time())
        with pytest.raises(KeyboardInterrupt):
            train(config)
    (checkpoints,) = (tmp_path / "out").glob("checkpoints-*")
    # Killed while a third checkpoint was being written.
    (checkpoints / "checkpoint-8" / "trainer_state.json").unlink()
    assert len(steps) == 8
    train(config)
    assert len(steps) == 8 + 2
    assert not checkpoints.exists()


def fail_the_second_time():
    calls = []

    def score(self, sentences):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return 0.0, 0.0

    return score


def test_teacher_mode_prunes_and_fine_tunes(train, tmp_path):
    names = ["[UNK]", "[CLS]", "[SEP]", "[MASK]", "[PAD]", "unseen"]
    names += [*"abcdefghijklmnop", *(f"##{c}" for c in "abcdefghijklmnop")]
    tokenizer = BertTokenizer(
        vocab={name: i for i, name in enumerate(names)}, do_lower_case=False
    )
    config = BertConfig(
        vocab_size=len(names),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        pad_token_id=4,
    )
    AutoModelForMaskedLM.from_config(config).save_pretrained(tmp_path / "hub")
    tokenizer.save_pretrained(tmp_path / "hub")

    source = str(tmp_path / "hub")
    record = train(
        dict(
            mode="teacher",
            model=source,
            lowercase=True,
            training=dict(TRAINING, max_steps=5),
        )
    )
    assert record["token_type"] == "hugging_face" and record["source"] == source
    loaded = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert loaded.tokenize("A b Lab") == ["a", "b", "l", "##a", "##b"]
    assert loaded.pad_token_id == 0 and len(loaded) == 5 + 24
    kept = (tmp_path / "out" / "tokens.txt").read_text().splitlines()
    assert loaded.convert_ids_to_tokens(range(len(kept))) == kept


def test_copies_of_a_sentence_fall_on_one_side():
    lines = [f"sentence {i % 300}" for i in range(900)]
    train, held_out = split_sentences(lines, lambda line: [hash(line)] * 3, 10)
    assert (len(train), len(held_out)) == (3 * 294, 6)
    assert not {ids[0] for ids in train} & {ids[0] for ids in held_out}
    train, held_out = split_sentences([*lines, "long " * 11], str.split, 10)
    assert not any(len(ids) > 10 for ids in train + held_out)


def test_bad_text(tmp_path):
    with pytest.raises(InputError, match="no such text"):
        read_sentences(tmp_path / "none.txt")
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(InputError, match="empty text"):
        read_sentences(tmp_path / "empty.txt")
    with pytest.raises(InputError, match="too few"):
        split_sentences(["a"], str.split, 10)


def test_bad_config(tmp_path, train):
    with pytest.raises(InputError, match="one of student, wordpiece, teacher"):
        complete_config({"mode": "teachr"})
    with pytest.raises(InputError, match="'prun' is no key"):
        complete_config({"mode": "teacher", "model": "x", "prun": True})
    with pytest.raises(InputError, match="model is missing"):
        complete_config({"mode": "teacher"})
    with pytest.raises(InputError, match="no such teacher config"):
        read_config(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="training: .*max_stps"):
        train(dict(STUDENT, training={"max_stps": 3}))
    with pytest.raises(InputError, match="model: .*bertt"):
        train(dict(STUDENT, model={"model_type": "bertt"}))
