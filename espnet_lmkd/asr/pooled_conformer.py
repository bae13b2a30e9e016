"""ESPnet's Conformer with time poolings between its layers."""

from typing import Sequence

import torch
from espnet2.asr.encoder.conformer_encoder import ConformerEncoder
from torch.nn.functional import max_pool1d

from espnet_lmkd.errors import InputError


class PooledConformerEncoder(ConformerEncoder):
    """Conformer that halves the frame rate after some layers: `lmkd_pooled_conformer`.

    The encoder of CIF recognisers: Han, Chen, Shi, Xu, Xu, "Knowledge Transfer from
    Pre-trained Language Models to Cif-based Speech Recognizers via Hierarchical
    Distillation", Interspeech 2023, arXiv 2301.13003. Theirs drops an odd last frame;
    here it is kept, so that no speech is lost.

    x_t <- max(x_{2t}, x_{2t+1}) after each layer of `pool_layers`

    Args:
        input_size: width of the features.
        pool_layers: layers after which to pool, counted from 1, below the number of
            layers; with `input_layer: conv2d2` and two of them there are 12.5 frames a
            second.
        kwargs: of ESPnet's `ConformerEncoder`, with `rel_pos_type: latest`;
            intermediate CTC only behind the last pooling.

    Raises:
        InputError: layers that do not exist or fit, or another `rel_pos_type`.

    Example:
        >>> encoder = PooledConformerEncoder(
        ...     8, [1], output_size=8, linear_units=8, num_blocks=2,
        ...     input_layer="linear", rel_pos_type="latest",
        ... )
        >>> out, lengths, _ = encoder(torch.zeros(1, 5, 8), torch.tensor([5]))
        >>> out.shape, lengths
        (torch.Size([1, 3, 8]), tensor([3]))
    """

    def __init__(self, input_size: int, pool_layers: Sequence[int], **kwargs):
        super().__init__(input_size, **kwargs)
        last = len(self.encoders) - 1
        if not set(pool_layers) <= set(range(1, last + 1)):
            raise InputError(
                f"lmkd_pooled_conformer: pool_layers {list(pool_layers)}: layers of "
                f"1..{last} were wanted"
            )
        if self.interctc_layer_idx and min(self.interctc_layer_idx) <= max(pool_layers):
            raise InputError(
                f"lmkd_pooled_conformer: interctc_layer_idx {self.interctc_layer_idx} "
                f"must lie behind the last pooling, after layer {max(pool_layers)}"
            )
        if kwargs.get("rel_pos_type") != "latest":
            raise InputError("lmkd_pooled_conformer: rel_pos_type: latest was wanted")
        if kwargs.get("layer_drop_rate"):
            raise InputError(
                "lmkd_pooled_conformer: layer_drop_rate would drop poolings with their "
                "layers; leave it out"
            )
        for layer in pool_layers:
            self.encoders[layer].register_forward_pre_hook(_pool)


def _pool(layer, inputs):
    """Halve what goes into a layer: states, relative positions and their mask."""
    (states, positions), mask = inputs
    frames = mask.transpose(1, 2)  # True where valid; padding must not win
    states = states.masked_fill(~frames, torch.finfo(states.dtype).min)
    states = max_pool1d(states.transpose(1, 2), 2, ceil_mode=True).transpose(1, 2)
    mask = mask[:, :, ::2]
    states = states.masked_fill(~mask.transpose(1, 2), 0.0)
    # Distances of T' frames, T'-1 .. 1-T', lie in the middle of those of T.
    margin = (positions.shape[1] - 2 * states.shape[1] + 1) // 2
    positions = positions[:, margin : positions.shape[1] - margin]
    return (states, positions), mask
