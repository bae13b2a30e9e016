"""Token alignment on every sentence of a text: students of each kind, teachers of each.

    python3 benchmarks/alignment.py --text data/local/lm_train.txt

Students: characters, words and SentencePiece BPE of several sizes. Teachers: uncased
WordPiece, byte-level BPE and SentencePiece-like Unigram, all trained on the text, and
any folder with a tokenizer.json. A sentence counts as misaligned if it is refused, if
its blocks do not hold each token of both sides exactly once and in order, or if the
tokens of a block do not spell the same piece of the text on both sides.
"""

import argparse
import io
import tempfile
import time
import unicodedata
from pathlib import Path

import sentencepiece
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

from espnet_lmkd.alignment.coverage import Coverage
from espnet_lmkd.alignment.spans import align, blocks, lower
from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.vocabulary import StudentTokenizer
from espnet_lmkd.teachers.lm_text import read_sentences

UNKNOWN = {"<unk>", "[UNK]"}


def get_parser():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--text", required=True, help="text, one sentence a line")
    parser.add_argument("--with_ids", action="store_true", help="an id starts a line")
    parser.add_argument("--no_spaces", action="store_true", help="remove white space")
    parser.add_argument("--bpe", type=int, nargs="*", default=[300, 1000, 5000])
    parser.add_argument("--vocab_size", type=int, default=8000, help="of the teachers")
    parser.add_argument("--teacher", nargs="*", default=[], help="with tokenizer.json")
    return parser


def make_students(lines, sizes):
    tokens = ["<blank>", "<unk>", "<sos/eos>"]
    students = {kind: StudentTokenizer(kind, tokens) for kind in ("char", "word")}
    for size in sizes:
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            vocab_size=size,
            model_type="bpe",
            num_threads=1,
            minloglevel=2,
        )
        with tempfile.NamedTemporaryFile() as file:
            Path(file.name).write_bytes(model.getvalue())
            students[f"BPE {size}"] = StudentTokenizer("bpe", tokens, file.name)
    return students


def make_teachers(lines, vocab_size, folders):
    lines = [lower(line) for line in lines]
    sizes = dict(vocab_size=vocab_size, show_progress=False)
    wordpiece = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    wordpiece.normalizer = normalizers.BertNormalizer()
    wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    wordpiece.train_from_iterator(
        lines, trainers.WordPieceTrainer(special_tokens=["[UNK]"], **sizes)
    )
    byte_bpe = Tokenizer(models.BPE())
    byte_bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    byte_bpe.train_from_iterator(
        lines, trainers.BpeTrainer(initial_alphabet=alphabet, **sizes)
    )
    byte_bpe.decoder = decoders.ByteLevel()
    unigram = Tokenizer(models.Unigram())
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.train_from_iterator(
        lines,
        trainers.UnigramTrainer(
            special_tokens=["<unk>"], unk_token="<unk>", max_piece_length=8, **sizes
        ),
    )
    teachers = {"WordPiece": wordpiece, "byte BPE": byte_bpe, "Unigram": unigram}
    for folder in folders:
        backend = Tokenizer.from_file(str(Path(folder, "tokenizer.json")))
        backend.no_truncation()
        backend.no_padding()
        teachers[Path(folder).resolve().parent.name] = backend
    return {
        f"{name} {teacher.get_vocab_size()}": teacher
        for name, teacher in teachers.items()
    }


def spelling(tokens, decoder):
    """The letters that tokens spell, or None if one is unknown."""
    if not UNKNOWN.isdisjoint(tokens):
        return None
    if isinstance(decoder, decoders.ByteLevel):
        text = decoder.decode(tokens)
    else:
        text = "".join(token.removeprefix("##") for token in tokens)
    text = text.replace("▁", "").replace("<space>", "").casefold()
    # Accents, control characters and white space are any tokenizer's to drop.
    text = unicodedata.normalize("NFKD", text)
    return "".join(c for c in text if unicodedata.category(c)[0] not in "MCZ")


def is_whole(found, student_tokens, teacher_tokens, decoder):
    """Hold that blocks cover each token once, in order, and spell the same."""
    for side, tokens in ((0, student_tokens), (1, teacher_tokens)):
        inside = [i for block in found for i in range(*block[side])]
        if inside != list(range(len(tokens))):
            return False
    for block in found:
        ours = spelling(student_tokens[slice(*block.student)], None)
        theirs = spelling(teacher_tokens[slice(*block.teacher)], decoder)
        if None not in (ours, theirs) and ours != theirs:
            return False
    return True


def compare(lines, student, teacher):
    """Return the coverage, the number of misaligned sentences and the seconds."""
    coverage, misaligned, seconds = Coverage(), 0, 0.0
    for line in lines:
        encoding = teacher.encode(lower(line), add_special_tokens=False)
        tokens, spans = student.tokens(line), student.spans(line)
        start = time.perf_counter()
        try:
            ranges = align(line, spans, encoding.offsets)
        except InputError as error:
            print(f"refused: {error}")
            misaligned += 1
            continue
        found = blocks(ranges, len(encoding))
        seconds += time.perf_counter() - start
        unknown = sum(token in UNKNOWN for token in encoding.tokens)
        coverage.add(ranges, len(encoding), 0, unknown)
        misaligned += not is_whole(found, tokens, encoding.tokens, teacher.decoder)
    return coverage, misaligned, seconds


def main(cmd=None):
    args = get_parser().parse_args(cmd)
    start = time.perf_counter()
    lines = read_sentences(args.text)
    if args.with_ids:
        lines = [line.split(maxsplit=1)[1] for line in lines]
    if args.no_spaces:
        lines = ["".join(line.split()) for line in lines]
    students = make_students(lines, args.bpe)
    teachers = make_teachers(lines, args.vocab_size, args.teacher)
    print(
        "| student | teacher | sentences | student tokens | teacher tokens (unknown) |"
        " 1:1 | 1:n | n:1 | n:m | misaligned | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name, student in students.items():
        for teacher_name, teacher in teachers.items():
            coverage, misaligned, seconds = compare(lines, student, teacher)
            kinds = [
                coverage.one_to_one,
                coverage.one_to_many,
                coverage.many_to_one,
                coverage.many_to_many,
            ]
            shares = " | ".join(f"{kind / sum(kinds):.1%}" for kind in kinds)
            print(
                f"| {name} | {teacher_name} | {coverage.sentences} |"
                f" {coverage.student_tokens} | {coverage.teacher_tokens}"
                f" ({coverage.teacher_unknown}) | {shares} | {misaligned} |"
                f" {seconds:.1f} |",
                flush=True,
            )
    print(f"\n{time.perf_counter() - start:.0f} s in all; seconds: alignment alone")


if __name__ == "__main__":
    main()
