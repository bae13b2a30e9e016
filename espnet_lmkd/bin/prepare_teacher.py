"""Train or fine-tune a masked LM on text (stage 6)."""

import argparse

from espnet_lmkd.errors import exits_cleanly
from espnet_lmkd.targets.vocabulary import read_token_list


def get_parser():
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--config", required=True, help="such as conf/teacher/*.yaml")
    parser.add_argument("--lm_text", required=True, help="text, one sentence a line")
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--token_type", default="bpe", help="the student's")
    parser.add_argument("--token_list", help="the student's, for mode: student")
    parser.add_argument("--bpemodel", help="the student's SentencePiece model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser


@exits_cleanly
def main(cmd=None):
    """Run the command."""
    args = get_parser().parse_args(cmd)
    from espnet_lmkd.teachers.config import read_config
    from espnet_lmkd.teachers.finetune import prepare_teacher

    record = prepare_teacher(
        read_config(args.config),
        args.lm_text,
        args.out,
        token_type=args.token_type,
        token_list=read_token_list(args.token_list) if args.token_list else None,
        bpemodel=args.bpemodel,
        seed=args.seed,
        device=args.device,
    )
    before, after = record["before"], record["after"]
    print(
        f"{args.out}: on {record['num_held_out']} held-out sentences, one token masked"
        f" at a time: accuracy {before['masked_accuracy']:.1%} ->"
        f" {after['masked_accuracy']:.1%}, loss {before['masked_loss']:.3f} ->"
        f" {after['masked_loss']:.3f} nats"
    )


if __name__ == "__main__":
    main()
