"""Running a teacher over texts and storing what it says (stage 7)."""

from functools import partial
from pathlib import Path

from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.plan import make_plan
from espnet_lmkd.targets.schema import KINDS, TARGETS


def plan_extraction(
    teacher,
    source,
    student,
    texts,
    kind="teacher_topk",
    top_k=8,
    temperature=1.0,
    layer=-1,
    **conf,
):
    """Settle what to extract and with which function.

    Args:
        teacher: `MaskedLMTeacher` over the student's token list.
        source: Folder or hub id that the teacher came from, for the manifest.
        student: `StudentTokenizer`.
        texts: Text of each utterance.
        kind: A key of `KINDS`.
        top_k: Number of tokens to keep at each position, for ``teacher_topk``.
        temperature: Divides the logits, for ``teacher_topk``.
        layer: Layer, for ``teacher_hidden``.
        conf: ``drop_too_long`` and ``shard_size`` of `make_plan`.

    Returns:
        The `Plan`, and the function that `write_shards` wants.

    Raises:
        InputError: If an argument, the vocabulary or a text does not suit the teacher.
    """
    hidden = kind == "teacher_hidden"
    if hidden:
        teacher.check_layer(layer)
        compute = partial(teacher.hidden_states, layer=layer)
        width = teacher.model.config.hidden_size
    else:
        teacher.check_top_k(top_k)
        if temperature <= 0:
            raise InputError(f"--temperature {temperature}: above 0 was wanted")
        compute = partial(teacher.topk_log_probs, top_k=top_k, temperature=temperature)
        width = top_k
    if student.token_type == "hugging_face":
        _check_tokenization(teacher.tokenizer, student, texts)
    header = {
        "side": TARGETS[KINDS[kind][0]].side,
        "teacher": {
            "id": Path(source).name if Path(source).is_dir() else str(source),
            "revision": teacher.commit,
            "class": type(teacher.model).__name__,
            "dtype": str(teacher.model.dtype).removeprefix("torch."),
            "weights_sha256": teacher.weights_sha256(with_head=not hidden),
        },
        "layer": layer if hidden else None,
        "temperature": None if hidden else temperature,
        "top_k": None if hidden else top_k,
        "tokenizer": student.record(),
        "shuffled_seed": None,
    }
    dims = {name: width for name in KINDS[kind]}
    return make_plan(texts, student, header, dims, teacher.max_tokens, **conf), compute


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
