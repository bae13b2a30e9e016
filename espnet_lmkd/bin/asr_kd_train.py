"""Train a recogniser, with or without distillers, as ESPnet's asr_train does."""

import sys

from espnet_lmkd.errors import exits_cleanly


def get_parser():
    """Return ESPnet's training parser with this pack's choices."""
    from espnet_lmkd.asr.task import ASRKDTask

    return ASRKDTask.get_parser()


@exits_cleanly
def main(cmd=None):
    """Train.

    Example:
        % python3 -m espnet_lmkd.bin.asr_kd_train --config conf/train_asr_kd_ctc.yaml
    """
    from espnet_lmkd.asr.task import ASRKDTask

    ASRKDTask.main(cmd=sys.argv[1:] if cmd is None else cmd)


if __name__ == "__main__":
    main()
