"""How strongly each term of a student's loss pulls at it, and in which direction."""

import itertools
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional

import torch
from espnet2.train.distributed_utils import DistributedOption
from tqdm import tqdm

from espnet_lmkd.asr.checkpoint import read_checkpoint
from espnet_lmkd.asr.export import default_model_file
from espnet_lmkd.asr.model import LMKDASRModel
from espnet_lmkd.asr.task import ASRKDTask
from espnet_lmkd.errors import InputError


def gradient_norms(
    model: LMKDASRModel, batches: Iterable[Dict[str, Any]]
) -> List[Dict[str, Any]]:
    """Compare the gradients of a student's terms at each of its parts.

    ratio = |w g_term| / |g_asr|,  cosine = g_term . g_asr / (|g_term| |g_asr|)

    A term that pulls a hundred times weaker than the ASR loss teaches nothing, one that
    pulls stronger drowns it, and a cosine below 0 says that they disagree. Parts are
    those of the recogniser that train: `encoder`, `decoder` (of a transducer its
    prediction network), `joint_network`, `ctc`, ...

    Args:
        model: in training mode, with distillers and their targets in the batches.
        batches: arguments of its forward pass.

    Returns:
        For each part a row of the ASR loss and one of each distiller, means over the
        batches: `part`, `term`, `weight`, `loss` (weighted), `norm` (of the weighted
        loss), `ratio`, `cosine`.

    Raises:
        InputError: nothing but distillers trains.
    """
    parts = _trained_parts(model)
    parameters = [parameter for part in parts.values() for parameter in part]
    sizes = [sum(parameter.numel() for parameter in part) for part in parts.values()]
    found = {(part, name): [] for part in parts for name in ("asr", *model.distillers)}
    for batch in batches:
        terms = {}
        with ExitStack() as hooks:
            for name, entry in model.distillers.items():
                hooks.enter_context(_keeping(entry, terms, name))
            loss = model(**batch)[0]
        terms = {"asr": loss - sum(terms.values()), **terms}
        gradients = {n: _gradient(t, parameters).split(sizes) for n, t in terms.items()}
        for name, of_parts in gradients.items():
            for part, gradient, asr in zip(parts, of_parts, gradients["asr"]):
                norm = gradient.norm()
                cosine = torch.cosine_similarity(gradient, asr, 0)
                values = (terms[name].detach(), norm, norm / asr.norm(), cosine)
                found[part, name].append(torch.stack([v.reshape(()) for v in values]))
    weights = {name: entry.weight() for name, entry in model.distillers.items()}
    table = []
    for (part, name), rows in found.items():
        means = torch.stack(rows).mean(0).tolist()
        row = {"part": part, "term": name, "weight": weights.get(name, 1.0)}
        table.append({**row, **dict(zip(("loss", "norm", "ratio", "cosine"), means))})
    return table


def gradient_report(exp, model_file: Optional[str] = None, num_batches: int = 20):
    """Run `gradient_norms` on an experiment's first training batches.

    Args:
        exp: experiment with `config.yaml`, whose paths start where this runs.
        model_file: checkpoint; the only `valid.*.ave.pth` if not given.
        num_batches: training batches, from 1.

    Raises:
        InputError: no distillers, no single checkpoint, or nothing else trains.
    """
    exp = Path(exp)
    model_file = model_file or default_model_file(exp)
    read_checkpoint(model_file)
    model, args = ASRKDTask.build_model_from_file(exp / "config.yaml", str(model_file))
    if not getattr(model, "distillers", None):
        raise InputError(f"{exp}: a student with distillers was wanted, it has none")
    for name, parameter in model.named_parameters():
        # As ESPnet does before it trains, not when it reads a model.
        if any(f"{name}.".startswith(f"{frozen}.") for frozen in args.freeze_param):
            parameter.requires_grad = False
    torch.manual_seed(0)
    factory = ASRKDTask.build_iter_factory(args, DistributedOption(), mode="train")
    iterator = itertools.islice(factory.build_iter(1), num_batches)
    batches = ({**batch, "utt_id": utt_ids} for utt_ids, batch in iterator)
    return gradient_norms(model.train(), tqdm(batches, total=num_batches))


def markdown(table: List[Dict[str, Any]]) -> str:
    """Return the rows of `gradient_norms` as a pipe table."""
    lines = [
        "| part | term | weight | loss | gradient norm | / asr | cosine with asr |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in table:
        lines.append(
            "| {part} | {term} | {weight:g} | {loss:.2f} | {norm:.2f} | {ratio:.3f} | "
            "{cosine:.3f} |".format(**row)
        )
    return "\n".join(lines)


def _trained_parts(model):
    """Return {part: parameters that train} of the recogniser itself."""
    parts = {}
    for name, parameter in model.named_parameters():
        part = name.partition(".")[0]
        if parameter.requires_grad and part != "distillers":
            parts.setdefault(part, []).append(parameter)
    if not parts:
        raise InputError(
            "a recogniser with a part that trains was wanted, all parameters of this "
            "one are frozen; see freeze_param and encoder_conf in its config.yaml"
        )
    return parts


def _keeping(entry, terms, name):
    def keep(module, inputs, output):
        terms[name] = output[0]

    return entry.register_forward_hook(keep)


def _gradient(term, parameters):
    """Return the gradient at all parameters as one vector, 0 where there is none."""
    if not term.requires_grad:
        return torch.cat([torch.zeros_like(p).flatten() for p in parameters])
    found = torch.autograd.grad(
        term, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return torch.cat([gradient.flatten() for gradient in found])
