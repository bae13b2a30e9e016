"""Imports that moved between ESPnet 202511 and 202609: one place that knows both."""

try:
    from espnet2.legacy.nets.pytorch_backend.transformer.subsampling import (
        TooShortUttError,
    )
except ModuleNotFoundError:
    from espnet.nets.pytorch_backend.transformer.subsampling import TooShortUttError

__all__ = ["TooShortUttError"]
