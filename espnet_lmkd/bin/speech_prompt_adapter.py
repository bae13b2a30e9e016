"""Save a speech-prompted LM without its frozen pretrained models, and restore it."""

import argparse

from espnet_lmkd.errors import InputError, exits_cleanly


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    save = commands.add_parser("save", help="experiment -> adapter")
    save.add_argument("--exp", required=True, help="experiment, e.g. exp/asr_llm")
    save.add_argument(
        "--model_file", help="checkpoint; the only valid.*.ave.pth if not given"
    )
    save.add_argument("--out", required=True, help="folder to write")
    restore = commands.add_parser("restore", help="adapter -> complete checkpoint")
    restore.add_argument("--adapter", required=True, help="folder of `save`")
    restore.add_argument(
        "--base",
        nargs="*",
        default=[],
        metavar="PART=MODEL",
        help="decoder=<folder or hub id>, encoder=...; instead of those trained with",
    )
    return parser


def parse_sources(pairs):
    """Read PART=MODEL pairs.

    Example:
        >>> parse_sources(["decoder=models/smollm2"])
        {'decoder': 'models/smollm2'}
    """
    sources = dict(pair.partition("=")[::2] for pair in pairs)
    unknown = sorted(set(sources) - {"decoder", "encoder"})
    if unknown or "" in sources.values():
        raise InputError(f"--base {pairs}: decoder=MODEL or encoder=MODEL was wanted")
    return sources


@exits_cleanly
def main(cmd=None):
    """Save or restore.

    Example:
        % python3 -m espnet_lmkd.bin.speech_prompt_adapter save --exp exp/asr_a \\
            --out exp/asr_a/adapter
        % python3 -m espnet_lmkd.bin.speech_prompt_adapter restore \\
            --adapter exp/asr_a/adapter --base decoder=models/smollm2
    """
    args = get_parser().parse_args(cmd)
    from espnet_lmkd.asr.speech_prompt.adapter import restore_adapter, save_adapter

    if args.command == "restore":
        print(restore_adapter(args.adapter, parse_sources(args.base)))
        return
    record = save_adapter(args.exp, args.out, args.model_file)
    share = record["bytes"] / record["bytes_with_bases"]
    print(f"{args.out}: {record['bytes'] / 1e6:.1f} MB, {share:.1%} of the whole")


if __name__ == "__main__":
    main()
