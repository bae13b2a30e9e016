"""ESPnet's own streaming command, for transducers too.

`python3 -m espnet_lmkd -m espnet2.bin.asr_inference_streaming` runs it with ESPnet's
arguments and output files; `--sim_chunk_length` is the size of a piece in samples.
"""

import functools
import sys
from pathlib import Path

import yaml
from espnet2.bin import asr_inference_streaming as stock

from espnet_lmkd.asr.streaming import StreamingOptions, StreamingRecogniser
from espnet_lmkd.errors import exits_cleanly


class TransducerSpeech2TextStreaming:
    """A `StreamingRecogniser` that is called as ESPnet's `Speech2TextStreaming`.

    Args:
        asr_train_config, asr_model_file, lm_train_config, lm_file, device: files.
        beam_size, lm_weight: of the search.
        others: ESPnet's further options, which its transducer search does not have.
    """

    def __init__(
        self,
        asr_train_config,
        asr_model_file,
        lm_train_config=None,
        lm_file=None,
        device="cpu",
        beam_size=20,
        lm_weight=1.0,
        **others,
    ):
        options = StreamingOptions(
            beam_size=beam_size, lm_weight=lm_weight if lm_file else 0.0
        )
        self.recogniser = StreamingRecogniser(
            asr_train_config, asr_model_file, options, lm_train_config, lm_file, device
        )
        self.asr_train_args = self.recogniser.speech2text.asr_train_args
        self.stream = None

    def __call__(self, speech, is_final=True):
        """Return [(text, tokens, token ids, hypothesis)] of what was heard so far."""
        stream = self.stream or self.recogniser.stream()
        self.stream = None if is_final else stream
        hypothesis = stream.accept(speech, is_final)
        return [(*hypothesis[:3], hypothesis)]


class InPieces:
    """Hears an utterance as ESPnet's loop over pieces, also one shorter than a piece.

    That loop fails where the first one is so short, and hears nothing of a later one.

    Args:
        speech2text: called as ESPnet's `Speech2TextStreaming`.
        size: samples of a piece; 0: all at once.
    """

    def __init__(self, speech2text, size):
        self.speech2text, self.size = speech2text, size
        self.asr_train_args = speech2text.asr_train_args

    def __call__(self, speech):
        """Return what is recognised in a whole utterance."""
        while self.size and len(speech) >= self.size:
            self.speech2text(speech[: self.size], is_final=False)
            speech = speech[self.size :]
        return self.speech2text(speech, is_final=True)


def speech2text_streaming(size, asr_train_config, **kwargs):
    """Build what streams the model of this configuration in pieces."""
    config = yaml.safe_load(Path(asr_train_config).read_text(encoding="utf-8"))
    transducer = config["decoder"] == "transducer"
    build = TransducerSpeech2TextStreaming if transducer else STOCK
    return InPieces(build(asr_train_config=asr_train_config, **kwargs), size)


STOCK = stock.Speech2TextStreaming


@exits_cleanly
def main(cmd=None):
    """Run ESPnet's command."""
    cmd = sys.argv[1:] if cmd is None else cmd
    size = stock.get_parser().parse_args(cmd).sim_chunk_length
    stock.Speech2TextStreaming = functools.partial(speech2text_streaming, size)
    stock.main([*cmd, "--sim_chunk_length", "0"])


if __name__ == "__main__":
    main()
