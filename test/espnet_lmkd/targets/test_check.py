import pytest
from fake_store import TEXTS, TOKENS

from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.check import check_store
from espnet_lmkd.targets.vocabulary import StudentTokenizer


def test_a_good_store(store, student):
    texts = TEXTS | {f"sp0.9-{utterance}": text for utterance, text in TEXTS.items()}
    report = check_store(store, texts, student.record(), student, sha256=True)
    report.raise_if_bad()
    assert report.num_utterances == 10 and not report.dropped


def test_names_what_is_wrong(store, student):
    texts = {**TEXTS, "utt2": "a cab", "utt9": "bad", "sp0.9-utt5": "bad"}
    report = check_store(store, texts, student.record(), student)
    assert report.missing == ["utt9"]
    assert report.stale == ["utt2", "sp0.9-utt5"]
    with pytest.raises(InputError, match="1 .*no targets: utt9.*2 .*utt2.*stage 7"):
        report.raise_if_bad()


def test_another_tokenizer(store):
    other = StudentTokenizer("char", [*TOKENS[:-1], "z", "<sos/eos>"])
    report = check_store(store, TEXTS, other.record())
    with pytest.raises(InputError, match="another tokenizer.*vocab_size 12 in the"):
        report.raise_if_bad()


def test_wrong_length(store, student):
    words = StudentTokenizer("word", TOKENS)
    report = check_store(store, TEXTS, student.record(), words)
    assert set(report.wrong_length) == set(TEXTS)


def test_corrupt_shards(store, student):
    whole = store / "teacher_topk_ids.0.ark"
    content = bytearray(whole.read_bytes())
    content[-1] ^= 1
    whole.write_bytes(content)
    cut = store / "teacher_topk_ids.1.ark"
    cut.write_bytes(cut.read_bytes()[:-1])
    (store / "teacher_topk_log_probs.0.ark").unlink()
    found = ["teacher_topk_log_probs.0.ark", "teacher_topk_ids.1.ark"]
    record = student.record()
    assert check_store(store, TEXTS, record).corrupt == found
    found = [found[0], whole.name, found[1]]
    slow = check_store(store, TEXTS, record, sha256=True).corrupt
    assert sorted(slow) == sorted(found)
