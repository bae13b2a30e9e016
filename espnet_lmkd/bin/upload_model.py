"""Upload an exported student to the Hugging Face hub, or show what would go."""

import argparse
from pathlib import Path

from espnet_lmkd.errors import InputError, exits_cleanly


def get_parser():
    """Return the parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exported", required=True, help="exp/asr_.../exported")
    parser.add_argument("--repo", required=True, help="user/name on the hub")
    parser.add_argument("--dry_run", action="store_true", help="list the files only")
    return parser


@exits_cleanly
def main(cmd=None):
    """Upload.

    Example:
        % python3 -m espnet_lmkd.bin.upload_model --dry_run \\
            --exported exp/asr_kd_a/exported --repo me/my_recogniser
    """
    args = get_parser().parse_args(cmd)
    folder = Path(args.exported)
    if not (folder / "README.md").is_file() or not (folder / "model.pth").is_file():
        raise InputError(f"{folder}: no exported student; run stage 14 first")
    user, _, name = args.repo.partition("/")
    if not user or not name:
        raise InputError(f"--repo {args.repo}: user/name was wanted")
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".zip":  # all of it once more
            print(f"{path.stat().st_size:>12,} {path.relative_to(folder)}")
    if args.dry_run:
        print(f"nothing was sent; without --dry_run these files go to {args.repo}")
        return
    from huggingface_hub import HfApi

    hub = HfApi()
    hub.create_repo(args.repo, exist_ok=True)
    print(
        hub.upload_folder(
            repo_id=args.repo, folder_path=folder, ignore_patterns="*.zip"
        )
    )


if __name__ == "__main__":
    main()
