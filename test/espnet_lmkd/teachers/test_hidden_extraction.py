"""Hidden states of a teacher for a student with other tokens, by the command."""

import numpy as np
import pytest
import torch
from tiny_lms import PIECES
from tokenizers import Tokenizer, normalizers
from transformers import AutoModel, AutoTokenizer

from espnet_lmkd.bin.extract_targets import main
from espnet_lmkd.data.directory import write_lines, write_table
from espnet_lmkd.targets.store import TargetReader, read_manifest
from espnet_lmkd.targets.vocabulary import StudentTokenizer

TEXTS = {
    "utt1": "THE FOX'S DOG",
    "utt2": "DOGS ABE",
    "utt3": "THE CAFÉ 1",
    "utt4": "DOGS ABE",
}
TOKENS = ["<blank>", "<unk>", "<space>", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'", "<sos/eos>"]


@pytest.fixture
def extract(tmp_path):
    """Return a function that runs the command in this process and reads its store."""
    write_lines(tmp_path / "tokens.txt", TOKENS)
    write_table(tmp_path / "text", TEXTS)

    def extract(teacher, *options, token_type="char", **arguments):
        arguments = (
            dict(
                text=tmp_path / "text",
                teacher=teacher,
                token_list=tmp_path / "tokens.txt",
                token_type=token_type,
                out=tmp_path / "store",
                targets="teacher_hidden",
                device="cpu",
            )
            | arguments
        )
        cmd = [x for key, value in arguments.items() for x in (f"--{key}", value)]
        main([str(x) for x in [*cmd, *options]])
        reader = TargetReader(arguments["out"] / "teacher_hidden.scp")
        return reader, read_manifest(arguments["out"])

    return extract


def plain_pooling(folder, text, student_spans, lowered, has_cls):
    """One sentence, one student token at a time, without the alignment module."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    read = text.lower() if lowered else text
    encoding = tokenizer(read, add_special_tokens=False, return_offsets_mapping=True)
    around = ([2], [3]) if has_cls else ([1], [])
    ids = torch.tensor([[*around[0], *encoding.input_ids, *around[1]]])
    with torch.no_grad():
        rows = model(ids).last_hidden_state[0, 1:].numpy()
    pooled = []
    for start, end in student_spans:
        while text[start:end].strip() == "":
            start, end = end, end + 1
        inside = [
            row
            for row, (first, last) in zip(rows, encoding.offset_mapping)
            if any(
                first <= i < last for i in range(start, end) if not text[i].isspace()
            )
        ]
        pooled.append(np.mean(inside, axis=0))
    return np.stack(pooled)


@pytest.mark.parametrize("token_type", ["char", "word"])
@pytest.mark.parametrize(
    "model_type, text_case",
    [("bert", "as_is"), ("gpt2", "lower"), ("llama", "as_is")],
)
def test_against_a_plain_loop(extract, folder_of, token_type, model_type, text_case):
    folder = folder_of(model_type)
    reader, manifest = extract(
        folder, "--drop_too_long", token_type=token_type, text_case=text_case
    )
    student = StudentTokenizer(token_type, TOKENS)
    for utterance, text in TEXTS.items():
        plain = plain_pooling(
            folder,
            text,
            student.spans(text),
            text_case == "lower",
            model_type == "bert",
        )
        np.testing.assert_allclose(reader[utterance], plain, atol=2e-3)
    assert (manifest["text_case"], manifest["layers"]) == (text_case, [-1])


def test_eos_is_the_state_of_the_closing_token(extract, folder_of, tmp_path, capsys):
    folder = folder_of("bert")
    plain, _ = extract(folder, "--drop_too_long", token_type="word")
    ended, manifest = extract(
        folder, "--drop_too_long", "--eos", token_type="word", out=tmp_path / "eos"
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    for utterance, text in TEXTS.items():
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        np.testing.assert_array_equal(ended[utterance][:-1], plain[utterance])
        np.testing.assert_allclose(ended[utterance][-1], states[-1], atol=2e-3)
    rows = {u: len(ended[u]) for u in ("utt1", "utt2", "utt3")}
    assert manifest["eos"] and manifest["num_rows"] == sum(rows.values())
    with pytest.raises(SystemExit):
        extract(folder_of("gpt2"), "--eos", out=tmp_path / "gpt2")
    assert "puts no token behind a sentence" in capsys.readouterr().err


def test_coverage_is_told(extract, folder_of, capsys):
    _, manifest = extract(folder_of("bert"), token_type="word")
    assert manifest["coverage"] == {
        "sentences": 3,
        "student_tokens": 8,
        "teacher_tokens": 13,
        # No word is in the list of letters.
        "student_unknown": 8,
        # [UNK]: s, abe, cafe and 1.
        "teacher_unknown": 4,
        "one_to_one": 5,
        "one_to_many": 3,
        "many_to_one": 0,
        "many_to_many": 0,
    }
    output = capsys.readouterr().out
    assert "3 sentences: 8 student tokens (8 unknown), 13 teacher tokens" in output
    assert "bytes a row, relative error 0.0" in output


def test_alignment_of_the_same_tokens_changes_nothing(extract, folder_of, tmp_path):
    folder = folder_of("bert")
    write_lines(tmp_path / "tokens.txt", PIECES)
    options = dict(token_type="hugging_face", bpemodel=folder)
    direct, _ = extract(folder, **options)
    # Another text case goes through the alignment; the tokenizer lower-cases anyway.
    aligned, manifest = extract(
        folder, **options, text_case="lower", out=tmp_path / "aligned"
    )
    for utterance in TEXTS:
        np.testing.assert_array_equal(direct[utterance], aligned[utterance])
    coverage = manifest["coverage"]
    assert coverage["one_to_one"] == coverage["student_tokens"]


def test_int8(extract, folder_of, tmp_path, capsys):
    folder = folder_of("gpt2")
    options = dict(text_case="lower", layers=2)
    floats, _ = extract(folder, **options)
    capsys.readouterr()
    reader, manifest = extract(
        folder, **options, hidden_dtype="int8", out=tmp_path / "int8"
    )
    error = manifest["storage"]["teacher_hidden"]["relative_error"]
    assert f"relative error {error:.2%}" in capsys.readouterr().out
    assert 1e-4 < error < 0.01
    exact = np.concatenate([floats[u] for u in TEXTS]).astype(np.float64)
    rows = np.concatenate([reader[u] for u in TEXTS])
    assert rows.dtype == np.float32
    difference = np.sqrt(((rows - exact) ** 2).sum() / (exact**2).sum())
    assert difference == pytest.approx(error, rel=0.2)


def check_refusal(extract, capsys, sentence, *args, **options):
    with pytest.raises(SystemExit) as end:
        extract(*args, **options)
    assert end.value.code == 1
    lines = [x for x in capsys.readouterr().err.splitlines() if "error" in x]
    assert len(lines) == 1 and sentence in lines[0], lines


def test_never_cuts_a_sentence_off(extract, folder_of, tmp_path, capsys):
    folder = folder_of("gpt2")
    texts = TEXTS | {"utt5": "AN OVERLY LONG SENTENCE"}
    write_table(tmp_path / "text", texts)
    # 23 bytes, 19 places beside the first token: the student would have 4 words.
    sentence = (
        "too long for the teacher, first 'utt5' (23 tokens, the teacher takes 19)"
    )
    check_refusal(extract, capsys, sentence, folder, token_type="word")
    reader, _ = extract(folder, "--drop_too_long", token_type="word")
    assert list(reader.dropped) == ["utt5"] and len(reader["utt5"]) == 0


def test_names_the_utterance_that_does_not_align(extract, folder_of, capsys):
    folder = folder_of("gpt2")
    file = str(folder / "tokenizer.json")
    backend = Tokenizer.from_file(file)
    backend.normalizer = normalizers.Replace("1", "")
    backend.save(file)
    sentence = "utterance 'utt3': the teacher's tokenizer leaves out character 9, '1'"
    check_refusal(extract, capsys, sentence, folder)


def test_a_text_that_the_teacher_does_not_read(extract, folder_of, tmp_path, capsys):
    write_table(tmp_path / "text", {"utt1": "QUITE DIFFERENT WORDS"})
    sentence = "3 of 3 tokens are unknown to the teacher"
    check_refusal(extract, capsys, sentence, folder_of("bert"))
