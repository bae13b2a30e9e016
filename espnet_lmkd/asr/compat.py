"""Imports that moved between ESPnet 202511 and 202609: one place that knows both."""

try:
    from espnet2.legacy.nets.pytorch_backend.transformer.attention import (
        MultiHeadedAttention,
    )
    from espnet2.legacy.nets.pytorch_backend.transformer.embedding import (
        PositionalEncoding,
    )
    from espnet2.legacy.nets.pytorch_backend.transformer.encoder_layer import (
        EncoderLayer,
    )
    from espnet2.legacy.nets.pytorch_backend.transformer.layer_norm import LayerNorm
    from espnet2.legacy.nets.pytorch_backend.transformer.positionwise_feed_forward import (  # noqa: E501
        PositionwiseFeedForward,
    )
    from espnet2.legacy.nets.pytorch_backend.transformer.subsampling import (
        TooShortUttError,
    )
    from espnet2.legacy.nets.scorer_interface import BatchScorerInterface
except ModuleNotFoundError:
    from espnet.nets.pytorch_backend.transformer.attention import MultiHeadedAttention
    from espnet.nets.pytorch_backend.transformer.embedding import PositionalEncoding
    from espnet.nets.pytorch_backend.transformer.encoder_layer import EncoderLayer
    from espnet.nets.pytorch_backend.transformer.layer_norm import LayerNorm
    from espnet.nets.pytorch_backend.transformer.positionwise_feed_forward import (
        PositionwiseFeedForward,
    )
    from espnet.nets.pytorch_backend.transformer.subsampling import TooShortUttError
    from espnet.nets.scorer_interface import BatchScorerInterface

__all__ = [
    "BatchScorerInterface",
    "EncoderLayer",
    "LayerNorm",
    "MultiHeadedAttention",
    "PositionalEncoding",
    "PositionwiseFeedForward",
    "TooShortUttError",
]
