"""Store what a teacher says of each text, or of the audio, of a data directory (7)."""

import argparse
from pathlib import Path

from espnet_lmkd.alignment.spans import TEXT_CASES
from espnet_lmkd.data.directory import read_table
from espnet_lmkd.errors import InputError, exits_cleanly
from espnet_lmkd.targets.schema import HIDDEN_DTYPES, KINDS
from espnet_lmkd.targets.store import read_manifest
from espnet_lmkd.targets.vocabulary import StudentTokenizer, read_token_list
from espnet_lmkd.targets.writer import merge, write_shards

CASE_HELP = "lower: for a cased teacher of its own tokens and upper-case text"


def get_parser():
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__} Without --job and --merge it does both."
    )
    add = parser.add_argument
    read = parser.add_mutually_exclusive_group(required=True)
    read.add_argument("--text", help="such as data/train/text")
    read.add_argument(
        "--data_dir", help="with text and wav.scp or feats.scp, such as dump/raw/train"
    )
    add(
        "--teacher_inputs",
        nargs="+",
        default=(),
        help="data directories with what a transducer hears of these utterances, where"
        " it is not what the student hears, such as dump/whisper-base.en/train",
    )
    add(
        "--teacher",
        required=True,
        help="language model: folder or id on the Hugging Face hub; transducer:"
        " checkpoint, such as exp/asr_rnnt/valid.loss.ave.pth, beside its config.yaml",
    )
    add("--revision", help="branch, tag or commit on the hub")
    add("--token_type", default="bpe", help="bpe, char, word or hugging_face")
    add("--token_list", required=True)
    add("--bpemodel", help="SentencePiece model, or folder for hugging_face")
    add("--out", required=True, help="folder of the target store")
    add("--targets", choices=sorted(KINDS), default="teacher_topk")
    add("--text_case", choices=sorted(TEXT_CASES), default="as_is", help=CASE_HELP)
    topk = parser.add_argument_group(
        "teacher_topk, of a masked LM on the student's tokens, teacher_tokens_topk, of"
        " one on its own, and teacher_path_topk, of a transducer on the student's"
    )
    topk.add_argument("--top_k", type=int, default=8, help="kept at each position")
    topk.add_argument(
        "--temperature", type=float, default=1.0, help="divides logits of masked LMs"
    )
    topk.add_argument(
        "--collapsed",
        action="store_true",
        help="of a transducer keep the blank and the next label instead of the top k",
    )
    hidden = parser.add_argument_group("teacher_hidden, of any masked or causal LM")
    hidden.add_argument(
        "--layers", type=int, nargs="+", default=[-1], help="their mean; 0: embedding"
    )
    hidden.add_argument(
        "--eos",
        action="store_true",
        help="also the state of the teacher's closing token, for the end of a sentence",
    )
    hidden.add_argument(
        "--hidden_dtype",
        choices=HIDDEN_DTYPES,
        default="float16",
        help="int8: a fourth of it, error about 1 percent, shards are held in memory",
    )
    add(
        "--drop_too_long",
        action="store_true",
        help="leave what the teacher does not take without targets; else an error",
    )
    add(
        "--shard_size",
        type=int,
        default=1000,
        help="different texts, or utterances, in a shard",
    )
    add("--nj", type=int, default=1, help="number of jobs")
    add("--job", type=int, help="1 .. nj: write the shards of this job, do not merge")
    add("--merge", action="store_true", help="only merge what the jobs wrote")
    add("--dry_run", action="store_true", help="only say how much disk it will take")
    add("--device", default="auto", help="auto, cpu or cuda")
    add("--dtype", choices=("float32", "bfloat16"), default="float32")
    return parser


@exits_cleanly
def main(cmd=None):
    """Run the command."""
    args = get_parser().parse_args(cmd)
    if args.job is not None and not 1 <= args.job <= args.nj:
        raise InputError(f"--job {args.job}: 1 .. {args.nj} (--nj) was wanted")
    if args.nj > 1 and args.job is None and not (args.merge or args.dry_run):
        raise InputError(
            f"--nj {args.nj} needs --job 1 .. {args.nj}, a process each, and then "
            "--merge; without --nj one process does everything"
        )
    if args.teacher_inputs and args.targets != "teacher_path_topk":
        raise InputError(
            f"--teacher_inputs: {args.targets} come from text; it is for"
            " teacher_path_topk"
        )
    texts = read_table(args.text or Path(args.data_dir, "text"))
    token_list = read_token_list(args.token_list)
    student = StudentTokenizer(args.token_type, token_list, args.bpemodel)
    plans = {
        "teacher_topk": _plan_topk,
        "teacher_hidden": _plan_hidden,
        "teacher_tokens_topk": _plan_tokens_topk,
        "teacher_path_topk": _plan_path_topk,
    }
    plan, compute = plans[args.targets](
        args,
        student,
        texts,
        drop_too_long=args.drop_too_long,
        shard_size=args.shard_size,
    )
    if plan.coverage:
        print(plan.coverage, flush=True)
    if args.dry_run:
        print(plan.estimate(args.out))
        return
    if not args.merge:
        print(plan.check_disk(args.out), flush=True)
        job, nj = (args.job, args.nj) if args.job else (1, 1)
        write_shards(plan, args.out, compute, job, nj)
    if args.merge or args.job is None:
        merge(plan, args.out)
        for name, storage in read_manifest(args.out)["storage"].items():
            print(
                f"{name}: {storage['bytes_per_row']:.1f} bytes a row, relative"
                f" error {storage['relative_error']:.2%}"
            )
        print(f"{args.out}: {len(plan.dropped)} utterances dropped, store complete")


def _plan_topk(args, student, texts, **conf):
    from espnet_lmkd.teachers.extraction import plan_topk
    from espnet_lmkd.teachers.masked_lm import MaskedLMTeacher

    teacher = MaskedLMTeacher.from_pretrained(
        args.teacher, student.token_list, args.revision, args.dtype, device=args.device
    )
    return plan_topk(
        teacher,
        args.teacher,
        student,
        texts,
        args.top_k,
        args.temperature,
        **conf,
    )


def _plan_tokens_topk(args, student, texts, **conf):
    from espnet_lmkd.teachers.extraction import plan_tokens_topk
    from espnet_lmkd.teachers.masked_lm import MaskedLMTeacher

    teacher = MaskedLMTeacher.from_pretrained(
        args.teacher, None, args.revision, args.dtype, device=args.device
    )
    return plan_tokens_topk(
        teacher,
        args.teacher,
        texts,
        args.top_k,
        args.temperature,
        args.text_case,
        **conf,
    )


def _plan_hidden(args, student, texts, **conf):
    from espnet_lmkd.teachers.extraction import plan_hidden
    from espnet_lmkd.teachers.hidden_states import HiddenStateTeacher

    teacher = HiddenStateTeacher.from_pretrained(
        args.teacher, args.revision, args.dtype, layers=args.layers, device=args.device
    )
    return plan_hidden(
        teacher,
        args.teacher,
        student,
        texts,
        args.text_case,
        args.hidden_dtype,
        args.eos,
        **conf,
    )


def _plan_path_topk(args, student, texts, **conf):
    from espnet_lmkd.alignment.transducer_targets import COLLAPSED
    from espnet_lmkd.teachers.path_extraction import plan_path_topk
    from espnet_lmkd.teachers.transducer import TransducerTeacher

    if args.data_dir is None:
        raise InputError("teacher_path_topk needs audio: give --data_dir, not --text")
    vocab_size = len(student.token_list)
    if not 1 <= args.top_k <= vocab_size:
        raise InputError(f"--top_k {args.top_k}: the student has {vocab_size} tokens")
    config = Path(args.teacher).with_name("config.yaml")
    for path in (Path(args.teacher), config):
        if not path.is_file():
            raise InputError(
                f"--teacher {args.teacher}: {path} does not exist; train the transducer"
                " first (stages 10 and 11 with its configuration as --asr_configs)"
            )
    teacher = TransducerTeacher(
        config,
        args.teacher,
        student.token_list,
        COLLAPSED if args.collapsed else args.top_k,
        args.device,
    )
    return plan_path_topk(teacher, student, args.data_dir, args.teacher_inputs, **conf)


if __name__ == "__main__":
    main()
