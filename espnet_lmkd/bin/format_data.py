"""Bring a data directory to mono 16-bit flac at one rate (stages 3 and 4)."""

import argparse

from espnet_lmkd.data.audio import format_directory
from espnet_lmkd.data.directory import read_table
from espnet_lmkd.errors import exits_cleanly


def get_parser():
    """Return the command's parser."""
    parser = argparse.ArgumentParser(
        description="Write a data directory as mono 16-bit flac, without its too short"
        " and too long utterances; those are listed in <out>/dropped.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data_dir", required=True, help="data directory to read")
    parser.add_argument("--out", required=True, help="data directory to write")
    parser.add_argument("--fs", type=int, default=16000, help="sampling rate in Hz")
    parser.add_argument("--min_seconds", type=float, default=0.1, help="shortest kept")
    parser.add_argument("--max_seconds", type=float, default=30.0, help="longest kept")
    parser.add_argument("--nj", type=int, default=1, help="number of processes")
    return parser


@exits_cleanly
def main(cmd=None):
    """Format.

    Example:
        % python3 -m espnet_lmkd.bin.format_data --data_dir data/dev --out dump/raw/dev
    """
    args = get_parser().parse_args(cmd)
    dropped = format_directory(
        args.data_dir, args.out, args.fs, args.min_seconds, args.max_seconds, args.nj
    )
    samples = read_table(f"{args.out}/utt2num_samples").values()
    hours = sum(map(int, samples)) / args.fs / 3600
    print(
        f"{args.out}: {len(samples)} utterances, {hours:.2f} h;"
        f" {len(dropped)} shorter than {args.min_seconds} s or longer than"
        f" {args.max_seconds} s dropped"
    )


if __name__ == "__main__":
    main()
