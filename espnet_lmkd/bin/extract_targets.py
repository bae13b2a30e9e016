"""Store what a teacher says of each text of a data directory (stage 7)."""

import argparse

from espnet_lmkd.data.directory import read_table
from espnet_lmkd.errors import InputError, exits_cleanly
from espnet_lmkd.targets.schema import KINDS
from espnet_lmkd.targets.vocabulary import StudentTokenizer, read_token_list
from espnet_lmkd.targets.writer import merge, write_shards


def get_parser():
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__} Without --job and --merge it does both."
    )
    add = parser.add_argument
    add("--text", required=True, help="such as dump/raw/train/text")
    add("--teacher", required=True, help="folder or id on the Hugging Face hub")
    add("--revision", help="branch, tag or commit on the hub")
    add("--token_type", default="bpe", help="bpe, char, word or hugging_face")
    add("--token_list", required=True)
    add("--bpemodel", help="SentencePiece model, or folder for hugging_face")
    add("--out", required=True, help="folder of the target store")
    add("--targets", choices=sorted(KINDS), default="teacher_topk")
    add("--top_k", type=int, default=8, help="tokens kept at each position")
    add("--temperature", type=float, default=1.0, help="divides the logits")
    add("--layer", type=int, default=-1, help="layer of teacher_hidden")
    add("--drop_too_long", action="store_true", help="else they are an error")
    add("--shard_size", type=int, default=1000, help="different texts in a shard")
    add("--nj", type=int, default=1, help="number of jobs")
    add("--job", type=int, help="1 .. nj: write the shards of this job, do not merge")
    add("--merge", action="store_true", help="only merge what the jobs wrote")
    add("--device", default="auto", help="auto, cpu or cuda")
    add("--dtype", choices=("float32", "bfloat16"), default="float32")
    return parser


@exits_cleanly
def main(cmd=None):
    """Run the command."""
    args = get_parser().parse_args(cmd)
    if args.job is not None and not 1 <= args.job <= args.nj:
        raise InputError(f"--job {args.job}: 1 .. {args.nj} (--nj) was wanted")
    if args.nj > 1 and args.job is None and not args.merge:
        raise InputError(
            f"--nj {args.nj} needs --job 1 .. {args.nj}, a process each, and then "
            "--merge; without --nj one process does everything"
        )
    texts = read_table(args.text)
    token_list = read_token_list(args.token_list)
    student = StudentTokenizer(args.token_type, token_list, args.bpemodel)
    from espnet_lmkd.teachers.extraction import plan_extraction
    from espnet_lmkd.teachers.masked_lm import MaskedLMTeacher

    teacher = MaskedLMTeacher.from_pretrained(
        args.teacher,
        token_list,
        args.revision,
        args.dtype,
        needs_head=args.targets == "teacher_topk",
        device=args.device,
    )
    plan, compute = plan_extraction(
        teacher,
        args.teacher,
        student,
        texts,
        kind=args.targets,
        top_k=args.top_k,
        temperature=args.temperature,
        layer=args.layer,
        drop_too_long=args.drop_too_long,
        shard_size=args.shard_size,
    )
    if not args.merge:
        print(plan.check_disk(args.out), flush=True)
        job, nj = (args.job, args.nj) if args.job else (1, 1)
        write_shards(plan, args.out, compute, job, nj)
    if args.merge or args.job is None:
        merge(plan, args.out)
        print(f"{args.out}: {len(plan.dropped)} utterances dropped, store complete")


if __name__ == "__main__":
    main()
