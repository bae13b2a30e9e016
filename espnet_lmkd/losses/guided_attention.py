"""A decoder's attention where its tokens are."""

from typing import List

import torch

from espnet_lmkd.errors import InputError

LEAST = 1e-6  # of the attention: the logarithm stays finite


def cross_attentions(decoder) -> List[torch.nn.Module]:
    """Return the attention to the encoder in each layer of ESPnet's decoder.

    An empty list for a decoder of another kind.
    """
    layers = getattr(decoder, "decoders", None)
    if not isinstance(layers, torch.nn.Sequential):  # that of Whisper is a module
        return []
    return [layer.src_attn for layer in layers if hasattr(layer, "src_attn")]


def kept_attention(decoder) -> torch.Tensor:
    """Return the weights that `cross_attentions` kept of the last pass.

    Returns:
        (B, U, N, T), N the heads of all layers.

    Raises:
        InputError: flash attention keeps none.
    """
    kept = [layer.attn for layer in cross_attentions(decoder)]
    if any(weights is None for weights in kept):
        raise InputError(
            "attention is to be guided, but flash attention keeps no weights; set "
            "decoder_conf: {use_flash_attn: false}"
        )
    return torch.cat(kept, dim=1).transpose(1, 2)


def attention_inside(attention: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
    """Return the attention of each token within its window, the mean over heads.

    Args:
        attention: (B, U, N, T') weights of N heads, T' >= T.
        windows: (B, U, T), 1 within the window of a token and 0 elsewhere.

    Returns:
        (B, U) float32 in [0, 1].
    """
    attention = attention[..., : windows.shape[2]].float().mean(2)
    return (attention * windows).sum(2)


def guided_attention_loss(
    attention: torch.Tensor, windows: torch.Tensor
) -> torch.Tensor:
    """Penalise attention outside of a token's window.

    Tachibana, Uenoyama, Aihara, "Efficiently Trainable Text-to-Speech System Based on
    Deep Convolutional Networks with Guided Attention", ICASSP 2018, arXiv 1710.08969,
    weigh attention by its distance from the diagonal; here it has a window for each
    token. Of several heads the mean counts, so that some of them stay free.

    loss_u = -log((1 / N) sum_n sum_t w_u(t) a_{u,n}(t))

    Args:
        attention: (B, U, N, T') weights of N heads, T' >= T.
        windows: (B, U, T), 1 within the window of a token and 0 elsewhere.

    Returns:
        (B, U) float32, at most 13.8.

    Example:
        >>> attention = torch.tensor([[[[0.5, 0.25, 0.25], [0.0, 0.75, 0.25]]]])
        >>> guided_attention_loss(attention, torch.tensor([[[0.0, 1.0, 0.0]]]))
        tensor([[0.6931]])
    """
    return -(attention_inside(attention, windows) + LEAST).log()
