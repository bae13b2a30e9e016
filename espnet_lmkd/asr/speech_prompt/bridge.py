"""From the frames of a speech encoder to what a language model takes for tokens."""

import inspect
from typing import Any, Dict, Optional

import torch
from torch.nn.functional import gelu, pad

from espnet_lmkd.alignment.runs import merge_runs
from espnet_lmkd.asr.cif_decoder import Integrator
from espnet_lmkd.asr.speech_prompt.abs_bridge import AbsBridge
from espnet_lmkd.asr.speech_prompt.posterior_bridge import PosteriorBridge
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded


class ConvBridge(AbsBridge):
    """Convolutions that halve the frame rate, then a linear layer: `bridge: conv`.

    Hono, Mitsuda, Zhao, Mitsui, Wakatsuki, Sawada, "Integrating Pre-Trained Speech and
    Language Models for End-to-End Speech Recognition", Findings of ACL 2024, arXiv
    2312.03668: two turn 50 frames a second into 12.5. Ours pad the ends of an
    utterance, so that T frames become ceil(T / 2) and one is never none.

    A = Linear(GELU(Conv1d_k4s2(... h)))

    Args:
        encoder_size: D.
        lm_size: E.
        num_convs: number of convolutions, 0 for frames that are slow enough.
    """

    def __init__(self, encoder_size: int, lm_size: int, num_convs: int = 2):
        super().__init__()
        self.convs = torch.nn.ModuleList(
            torch.nn.Conv1d(encoder_size, encoder_size, kernel_size=4, stride=2)
            for _ in range(num_convs)
        )
        self.linear = torch.nn.Linear(encoder_size, lm_size)

    def forward(
        self, frames: Padded, token_lengths: Optional[torch.Tensor] = None
    ) -> Padded:
        """See `AbsBridge`."""
        for conv in self.convs:
            inputs = frames.data.masked_fill(~frames.mask.unsqueeze(2), 0.0)
            outputs = gelu(conv(pad(inputs.transpose(1, 2), (1, 2))))
            frames = Padded(outputs.transpose(1, 2), (frames.lengths + 1) // 2)
        return Padded(self.linear(frames.data), frames.lengths)


class CTCBridge(AbsBridge):
    """A vector for each run of equal CTC labels, then a linear layer: `bridge: ctc`.

    Gaido, Cettolo, Negri, Turchi, "CTC-based Compression for Direct Speech
    Translation", EACL 2021, arXiv 2102.01578. The labels are those of the recogniser's
    own CTC layer, which `model: lmkd` hands over; it is trained by `ctc_weight` alone.

    A = Linear(mean of the frames of a run)

    Args:
        encoder_size: D.
        lm_size: E.
        keep_blank: whether runs of blank become vectors, too.
    """

    def __init__(self, encoder_size: int, lm_size: int, keep_blank: bool = True):
        super().__init__()
        self.linear = torch.nn.Linear(encoder_size, lm_size)
        self.keep_blank = keep_blank
        self.ctc, self.dropped = None, None

    def use_ctc(self, ctc: torch.nn.Module, blank: int) -> None:
        """Take the labels from this layer."""
        # Past torch's registry: its parameters are the recogniser's.
        object.__setattr__(self, "ctc", ctc)
        self.dropped = None if self.keep_blank else blank

    def forward(
        self, frames: Padded, token_lengths: Optional[torch.Tensor] = None
    ) -> Padded:
        """See `AbsBridge`."""
        if self.ctc is None:
            raise InputError(
                "bridge: ctc reads the labels of the recogniser's CTC layer; set"
                " model: lmkd and a ctc_weight above 0"
            )
        with torch.no_grad():
            labels = self.ctc.argmax(frames.data)
        runs = merge_runs(frames, labels, self.dropped)
        return Padded(self.linear(runs.data), runs.lengths)


class CIFBridge(AbsBridge):
    """A vector for each token by integrate-and-fire, a linear layer: `bridge: cif`.

    Ours, on Dong and Xu, "CIF: Continuous Integrate-and-Fire for End-to-End Speech
    Recognition", ICASSP 2020, arXiv 1905.11235. In training exactly one vector a token
    is integrated, in recognition as many as fire. Wants `model: lmkd`, which adds the
    quantity loss.

    A = Linear(integrate_and_fire(h, alpha))

    Args:
        encoder_size: D.
        lm_size: E.
        kernel: frames that the weight predictor sees.
        dropout_rate: of the weight predictor.
        tail_threshold: what is left at the end of an utterance fires above it.
        quantity_weight: weight of |sum_t alpha_t - L| beside the cross-entropy.
    """

    def __init__(
        self,
        encoder_size: int,
        lm_size: int,
        kernel: int = 3,
        dropout_rate: float = 0.2,
        tail_threshold: float = 0.5,
        quantity_weight: float = 1.0,
    ):
        super().__init__()
        self.integrator = Integrator(encoder_size, kernel, dropout_rate, tail_threshold)
        self.linear = torch.nn.Linear(encoder_size, lm_size)
        self.quantity_weight = quantity_weight

    def forward(
        self, frames: Padded, token_lengths: Optional[torch.Tensor] = None
    ) -> Padded:
        """See `AbsBridge`; given the token lengths, keep `quantity_losses` (B,)."""
        fired = self.integrator(frames, token_lengths)
        if token_lengths is not None:
            self.quantity_losses = (fired.weights.sum(1) - token_lengths).abs()
        return Padded(self.linear(fired.vectors.data), fired.vectors.lengths)


BRIDGES = {
    "conv": ConvBridge,
    "ctc": CTCBridge,
    "cif": CIFBridge,
    "posterior": PosteriorBridge,
}


def build_bridge(
    name: str, encoder_size: int, lm_size: int, conf: Dict[str, Any]
) -> AbsBridge:
    """Build a bridge, naming the choices when its name or an option is wrong."""
    if name not in BRIDGES:
        raise InputError(f"unknown bridge {name!r}; choose one of {list(BRIDGES)}")
    accepted = list(inspect.signature(BRIDGES[name]).parameters)[2:]
    unknown = sorted(set(conf) - set(accepted))
    if unknown:
        raise InputError(
            f"bridge {name!r} has no option {unknown}; choose from {accepted}"
        )
    return BRIDGES[name](encoder_size, lm_size, **conf)
