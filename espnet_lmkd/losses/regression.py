"""Distances between predicted vectors and a teacher's.

All functions compute in float32 whatever comes in and return one value a vector,
so that the caller masks and sums; no gradient reaches the target.
"""

import torch


def mse(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error over the last axis.

    mean_e (prediction_e - target_e)^2

    Args:
        prediction: (..., E).
        target: (..., E).

    Returns:
        (...) float32, from 0.

    Example:
        >>> mse(torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 1.0]]))
        tensor([1.])
    """
    return (prediction.float() - target.detach().float()).square().mean(-1)


def l1(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean absolute error over the last axis.

    mean_e |prediction_e - target_e|

    Args:
        prediction: (..., E).
        target: (..., E).

    Returns:
        (...) float32, from 0.

    Example:
        >>> l1(torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 5.0]]))
        tensor([2.])
    """
    return (prediction.float() - target.detach().float()).abs().mean(-1)


def cos(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """One minus the cosine of the angle between two vectors.

    1 - prediction . target / (|prediction| |target|)

    Args:
        prediction: (..., E).
        target: (..., E).

    Returns:
        (...) float32 in 0..2; 1 where a vector is 0.

    Example:
        >>> cos(torch.tensor([[0.0, 2.0]]), torch.tensor([[3.0, 0.0]]))
        tensor([1.])
    """
    return 1 - torch.nn.functional.cosine_similarity(
        prediction.float(), target.detach().float(), dim=-1
    )


DISTANCES = {"mse": mse, "cos": cos, "l1": l1}
