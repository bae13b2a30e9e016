"""Running a teacher over texts and storing what it says (stage 7)."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from espnet_lmkd.alignment.coverage import Coverage
from espnet_lmkd.alignment.spans import TEXT_CASES, align
from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.plan import make_plan
from espnet_lmkd.targets.schema import KINDS
from espnet_lmkd.targets.vocabulary import tokenizer_record
from espnet_lmkd.teachers.pretrained import vocabulary_difference, weights_sha256


def plan_topk(teacher, source, student, texts, top_k=8, temperature=1.0, **conf):
    """Settle the extraction of the most probable tokens at each masked one.

    Args:
        teacher: `MaskedLMTeacher` over the student's token list.
        source: Folder or hub id that the teacher came from, for the manifest.
        student: `StudentTokenizer`.
        texts: Text of each utterance.
        top_k: Number of tokens to keep at each position.
        temperature: Divides the logits.
        conf: ``drop_too_long`` and ``shard_size`` of `make_plan`.

    Returns:
        The `Plan`, and the function that `write_shards` wants.

    Raises:
        InputError: If an argument, the vocabulary or a text does not suit the teacher.
    """
    _check_topk(teacher, top_k, temperature)
    if student.token_type == "hugging_face":
        _check_tokenization(teacher.tokenizer, student, texts)
    header = _header(teacher, source, student, top_k=top_k, temperature=temperature)
    dims = {"teacher_topk_ids": top_k, "teacher_topk_log_probs": top_k}
    plan = make_plan(texts, student, header, dims, teacher.max_tokens, **conf)
    compute = partial(teacher.topk_log_probs, top_k=top_k, temperature=temperature)
    return plan, compute


def plan_tokens_topk(
    teacher, source, texts, top_k=8, temperature=1.0, text_case="as_is", **conf
):
    """Settle the extraction of each text in the teacher's own tokens, with its top k.

    Args:
        teacher: `MaskedLMTeacher` over its own vocabulary.
        source: Folder or hub id that the teacher came from, for the manifest.
        texts: Text of each utterance.
        top_k, temperature: As for `plan_topk`.
        text_case: A key of `TEXT_CASES`: what the teacher is given to read.
        conf: ``drop_too_long`` and ``shard_size`` of `make_plan`.

    Returns:
        The `Plan`, and the function that `write_shards` wants.

    Raises:
        InputError: If an argument or a text does not suit the teacher.
    """
    _check_topk(teacher, top_k, temperature)
    own = _OwnTokens(teacher.tokenizer, TEXT_CASES[text_case])
    header = _header(
        teacher,
        source,
        own,
        top_k=top_k,
        temperature=temperature,
        text_case=text_case,
        side="teacher",
    )
    dims = {"teacher_tokens": 1}
    dims |= {name: top_k for name in KINDS["teacher_tokens_topk"] if name not in dims}
    plan = make_plan(texts, own, header, dims, teacher.max_tokens, **conf)

    def compute(sentences):
        found = teacher.topk_log_probs(sentences, top_k, temperature)
        for ids, arrays in zip(sentences, found, strict=True):
            topk = {
                name.replace("teacher_", "teacher_tokens_"): array
                for name, array in arrays.items()
            }
            yield {"teacher_tokens": np.array(ids)[:, None], **topk}

    return plan, compute


class _OwnTokens:
    """A teacher's tokenizer where `make_plan` wants a student's."""

    def __init__(self, tokenizer, text_case):
        self._tokenizer, self._text_case = tokenizer, text_case

    def ids(self, text):
        text = self._text_case(text)
        return self._tokenizer(text, add_special_tokens=False).input_ids

    def record(self):
        tokenizer = self._tokenizer
        tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        special = {"sos": tokenizer.cls_token_id, "eos": tokenizer.sep_token_id}
        return tokenizer_record("hugging_face", tokens) | special


def plan_hidden(
    teacher,
    source,
    student,
    texts,
    text_case="as_is",
    dtype="float16",
    eos=False,
    **conf,
):
    """Settle the extraction of hidden states for a student of any vocabulary.

    A student token gets the mean over the teacher tokens that overlap it in the text,
    see `espnet_lmkd.alignment.spans`. A teacher whose vocabulary is the student's reads
    the student's ids themselves.

    Args:
        teacher: `HiddenStateTeacher`.
        source: Folder or hub id that the teacher came from, for the manifest.
        student: `StudentTokenizer`.
        texts: Text of each utterance.
        text_case: A key of `TEXT_CASES`: what the teacher is given to read.
        dtype: One of `HIDDEN_DTYPES`.
        eos: One more row for each text, the state of the teacher's closing token, for
            students that predict the end of a sentence.
        conf: ``drop_too_long`` and ``shard_size`` of `make_plan`.

    Returns:
        The `Plan` with its coverage, and the function that `write_shards` wants.

    Raises:
        InputError: If an argument or a text does not suit the teacher, or most of its
            tokens of the texts are unknown ones.
    """
    if eos:
        teacher.check_eos()
    shared = vocabulary_difference(teacher.tokenizer, student.token_list) is None
    if shared and student.token_type == "hugging_face":
        _check_tokenization(teacher.tokenizer, student, texts)

    def read(text, ids):
        if shared and text_case == "as_is":
            return (ids, tuple((i, i + 1) for i in range(len(ids)))), len(ids)
        theirs, spans = teacher.read(TEXT_CASES[text_case](text))
        return (theirs, tuple(align(text, student.spans(text), spans))), len(theirs)

    header = _header(
        teacher, source, student, layers=teacher.layers, text_case=text_case, eos=eos
    )
    plan = make_plan(
        texts,
        student,
        header,
        {"teacher_hidden": teacher.model.config.hidden_size},
        teacher.max_tokens,
        dtypes={"teacher_hidden": dtype},
        read=read,
        **conf,
    )
    coverage = Coverage()
    for unit in plan.units:
        theirs, ranges = unit.source
        coverage.add(
            ranges,
            len(theirs),
            unit.ids.count(student.unk_id),
            theirs.count(teacher.tokenizer.unk_token_id),
        )
    if 2 * coverage.teacher_unknown > coverage.teacher_tokens:
        raise InputError(
            f"{coverage.teacher_unknown} of {coverage.teacher_tokens} tokens are"
            " unknown to the teacher: it does not read such text; give --text_case"
            " lower or a teacher of this language"
        )
    return replace(plan, coverage=coverage), partial(_pooled, teacher, eos)


def pool(rows, ranges) -> np.ndarray:
    """Return the mean over each range of rows.

    Args:
        rows: (N, E), one for each teacher token.
        ranges: From `align`, one for each student token.

    Returns:
        (L, E)

    Example:
        >>> pool(np.array([[1.0], [3.0], [4.0]]), [(0, 2), (2, 3)]).tolist()
        [[2.0], [4.0]]
    """
    return np.stack([rows[first:end].mean(0) for first, end in ranges])


def _pooled(teacher, eos, sources):
    states = teacher.hidden_states([ids for ids, _ in sources], eos)
    for (ids, ranges), rows in zip(sources, states, strict=True):
        ranges = [*ranges, (len(ids), len(ids) + 1)] if eos else ranges
        yield {"teacher_hidden": pool(rows, ranges)}


def _check_topk(teacher, top_k, temperature):
    teacher.check_top_k(top_k)
    if temperature <= 0:
        raise InputError(f"--temperature {temperature}: above 0 was wanted")


def _header(teacher, source, tokenizer, side="text", **settings):
    """Return the manifest's entries that decide the arrays."""
    return {
        "side": side,
        "teacher": {
            "id": Path(source).name if Path(source).is_dir() else str(source),
            "revision": teacher.commit,
            "class": type(teacher.model).__name__,
            "dtype": str(teacher.model.dtype).removeprefix("torch."),
            "weights_sha256": weights_sha256(teacher.model),
        },
        **settings,
        "tokenizer": tokenizer.record(),
        "shuffled_seed": None,
    }


def _check_tokenization(tokenizer, student, texts):
    """Hold that transformers, as ESPnet loads it, splits the texts as we do."""
    for utterance, text in texts.items():
        theirs = tokenizer(text, add_special_tokens=False).input_ids
        if theirs != student.ids(text):
            raise InputError(
                f"utterance {utterance!r}: the teacher's tokenizer.json and"
                " transformers split it differently; make the folder with"
                " prepare_teacher"
            )
