import pytest
from fake_store import HEARD, TEXTS, TOKENS

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


def test_stale_audio_is_named(frame_store, student, audio):
    def check(texts=HEARD, files=audio):
        return check_store(frame_store, texts, student.record(), student, audio=files)

    check().raise_if_bad()
    audio["utt3"].write_text("another take")
    without_utt1 = {u: file for u, file in audio.items() if u != "utt1"}
    assert check().stale_audio == ["utt3"]
    assert check(files=without_utt1).stale_audio == ["utt1", "utt3"]
    with pytest.raises(InputError, match="1 utterances have other audio.*utt3.*stage"):
        check().raise_if_bad()
    assert check_store(frame_store, HEARD, student.record()).stale_audio == []


def test_frames_belong_to_one_copy_only(frame_store, student):
    texts = {**HEARD, "sp1.1-utt1": "bad", "utt3": "ab"}
    report = check_store(frame_store, texts, student.record(), student)
    assert (report.missing, report.stale) == (["sp1.1-utt1"], ["utt3"])


def test_the_text_side_knows_no_audio(store, student):
    check_store(store, TEXTS, student.record(), audio={}).raise_if_bad()
