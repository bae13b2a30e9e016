"""Training a masked LM on text: from scratch or from a pretrained one (stage 6)."""

import hashlib
import json
import shutil
from pathlib import Path

import transformers
from tokenizers.normalizers import Lowercase, Sequence
from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

from espnet_lmkd.data.directory import write_lines
from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.vocabulary import StudentTokenizer, fingerprint
from espnet_lmkd.targets.writer import write_json
from espnet_lmkd.teachers.config import complete_config
from espnet_lmkd.teachers.from_scratch import (
    build_masked_lm,
    student_tokenizer,
    wordpiece_tokenizer,
)
from espnet_lmkd.teachers.lm_text import read_sentences, split_sentences
from espnet_lmkd.teachers.masked_lm import MaskedLMTeacher
from espnet_lmkd.teachers.pretrained import load_masked_lm, wrap_tokenizer
from espnet_lmkd.teachers.prune import prune_vocabulary

RECORD = "lmkd_teacher.json"


def prepare_teacher(
    config,
    lm_text,
    out,
    token_type=None,
    token_list=None,
    bpemodel=None,
    seed=0,
    device="auto",
) -> dict:
    """Train a masked LM on text and save it as a plain Hugging Face folder.

    The folder also gets ``tokens.txt``, the student's token list, and, last,
    ``lmkd_teacher.json``. A finished folder is left alone, an unfinished one resumes
    from its last checkpoint.

    Args:
        config: ``mode: student`` (from scratch on the student's tokens; ``model`` is a
            ``model_type`` of transformers and its config's arguments), ``mode:
            wordpiece`` (likewise, on ``vocab_size`` word pieces learnt from the text)
            or ``mode: teacher`` (``model`` is a folder or hub id; ``revision``,
            ``prune``, ``lowercase``); ``training`` holds `TrainingArguments`.
        lm_text: File with one sentence a line.
        out: Folder to write.
        token_type: The student's, for mode student only; likewise the next two.
        token_list: The student's tokens.
        bpemodel: The student's SentencePiece model.
        seed: Seed of weights, masks and order.
        device: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        The content of ``lmkd_teacher.json``.

    Raises:
        InputError: If the config or the text is wrong, or ``out`` holds another one.
    """
    config = complete_config(config)
    out, lines = Path(out), read_sentences(lm_text)
    request = {
        "config": config,
        "seed": seed,
        "text_sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    }
    if config["mode"] == "student":
        request["token_type"] = token_type
        request["fingerprint"] = fingerprint(token_list)
    if Path(out, RECORD).is_file():
        return _finished(out, request)

    transformers.set_seed(seed)
    if config["mode"] == "student":
        student = StudentTokenizer(token_type, token_list, bpemodel)
        tokenizer = student_tokenizer(token_list)
        model, commit = build_masked_lm(tokenizer, config["model"]), None
        encode = student.ids
    else:
        if config["mode"] == "wordpiece":
            tokenizer = wordpiece_tokenizer(lines, config["vocab_size"])
            model, commit = build_masked_lm(tokenizer, config["model"]), None
        else:
            model, tokenizer, commit = _load_pretrained(config, lines)
        token_list = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        encode = _without_special(tokenizer)

    teacher = MaskedLMTeacher(model, tokenizer, token_list, device)
    train, held_out = split_sentences(lines, encode, teacher.max_tokens)
    before = teacher.score(held_out)
    _train(teacher, train, config, out, seed, request)
    after = teacher.score(held_out)

    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    write_lines(out / "tokens.txt", token_list)
    if bpemodel and config["mode"] == "student":
        shutil.copyfile(bpemodel, out / "bpe.model")
    record = {
        **request,
        "mode": config["mode"],
        "source": config["model"] if config["mode"] == "teacher" else "scratch",
        "revision": commit,
        "token_type": token_type if config["mode"] == "student" else "hugging_face",
        "fingerprint": fingerprint(token_list),
        "vocab_size": len(token_list),
        "bpemodel": "bpe.model" if Path(out, "bpe.model").is_file() else None,
        "num_train": len(train),
        "num_held_out": len(held_out),
        "before": {"masked_accuracy": before[0], "masked_loss": before[1]},
        "after": {"masked_accuracy": after[0], "masked_loss": after[1]},
    }
    write_json(out / RECORD, record)
    shutil.rmtree(_checkpoints(out, request), ignore_errors=True)
    return record


def _finished(out, request):
    record = json.loads(Path(out, RECORD).read_text(encoding="utf-8"))
    changed = [key for key, value in request.items() if record.get(key) != value]
    if changed:
        raise InputError(
            f"{out} holds a teacher made with another {', '.join(changed)};"
            " remove it or give another --out"
        )
    return record


def _load_pretrained(config, lines):
    model, tokenizer, commit = load_masked_lm(
        config["model"], config["revision"], needs_head=False
    )
    backend = tokenizer.backend_tokenizer
    if config["lowercase"]:
        rest = [backend.normalizer] if backend.normalizer else []
        backend.normalizer = Sequence([Lowercase(), *rest])
    if config["prune"]:
        model, tokenizer = prune_vocabulary(model, tokenizer, lines)
    else:
        tokenizer = wrap_tokenizer(
            backend,
            tokenizer.pad_token,
            tokenizer.unk_token,
            tokenizer.cls_token,
            tokenizer.sep_token,
            tokenizer.mask_token,
        )
    if tokenizer.pad_token_id != 0:
        raise InputError(
            f"{config['model']}: id 0 is the student's CTC blank, but the padding token"
            f" has id {tokenizer.pad_token_id}; take a BERT or mode: student"
        )
    return model, tokenizer, commit


def _without_special(tokenizer):
    return lambda text: tokenizer(text, add_special_tokens=False).input_ids


def _checkpoints(out, request):
    """Return the folder of checkpoints: another request never resumes from them."""
    content = json.dumps(request, sort_keys=True)
    return Path(out, "checkpoints-" + hashlib.sha256(content.encode()).hexdigest()[:8])


def _train(teacher, train, config, out, seed, request):
    tokenizer = teacher.tokenizer
    examples = [
        {"input_ids": [tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]}
        for ids in train
    ]
    checkpoints = _checkpoints(out, request)
    defaults = {
        "logging_steps": 50,
        "save_steps": 500,
        "save_total_limit": 2,
        "train_sampling_strategy": "group_by_length",
    }
    try:
        arguments = TrainingArguments(
            output_dir=str(checkpoints),
            seed=seed,
            report_to=[],
            use_cpu=teacher.device == "cpu",
            **{**defaults, **config["training"]},
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"training: {error}") from error
    trainer = Trainer(
        teacher.model,
        arguments,
        train_dataset=examples,
        data_collator=DataCollatorForLanguageModeling(
            tokenizer, mlm_probability=config["mlm_probability"]
        ),
    )
    # The state is written last: a checkpoint without it was torn by a kill.
    whole = [
        path.parent for path in checkpoints.glob("checkpoint-*/trainer_state.json")
    ]
    last = max(whole, key=lambda path: int(path.name.split("-")[1]), default=None)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    teacher.model.to(teacher.device).eval()
