"""Read a student's activations while ESPnet's own forward pass runs."""

from typing import Dict, Iterable, Optional

import torch

from espnet_lmkd.asr.cif_decoder import CIFDecoder
from espnet_lmkd.errors import InputError
from espnet_lmkd.losses.guided_attention import cross_attentions, kept_attention
from espnet_lmkd.padded import Padded

LAYER = "encoder_layer."
DECODER = ("decoder_logits", "decoder_states", "decoder_attention")
SCORES = ("blank_scores", "label_scores")
TRANSDUCER = ("predictor_out", "joint_network", *SCORES)
PER_TOKEN = (*DECODER, "predictor_out", "cif_vectors")  # and one more
CIF = ("cif_vectors", "cif_weights")
FIXED = ("text", "encoder_out", "ctc_logits", *DECODER, *TRANSDUCER, *CIF)


def _output_layer(decoder) -> Optional[torch.nn.Module]:
    """Return the layer that makes logits, None where there is none.

    ESPnet's Transformer decoders call it `output_layer`, its RNN decoders `output`.
    """
    return getattr(decoder, "output_layer", getattr(decoder, "output", None))


def decoder_size(model: torch.nn.Module) -> Optional[int]:
    """Return the width of `decoder_states`, None where the student has none."""
    layer = _output_layer(model.decoder)
    return None if layer is None else layer.in_features


def predictor_size(model: torch.nn.Module) -> Optional[int]:
    """Return the width of `predictor_out`, None where the student is no transducer."""
    if not model.use_transducer_decoder:
        return None
    return model.joint_network.lin_dec.in_features


def check_taps(names: Iterable[str], model: torch.nn.Module) -> None:
    """Refuse taps that this student does not have.

    Raises:
        InputError: names the tap and what it would need.
    """
    for name in names:
        if name.startswith(LAYER):
            count = len(getattr(model.encoder, "encoders", ()))
            if not 1 <= int(name[len(LAYER) :]) <= count:
                raise InputError(f"tap {name!r}: the encoder has layers 1..{count}")
        elif name not in FIXED:
            choices = [*FIXED, LAYER + "<k>"]
            raise InputError(f"unknown tap {name!r}; choose from {choices}")
        elif name == "ctc_logits" and model.ctc is None:
            raise InputError("tap 'ctc_logits' needs a student with ctc_weight > 0")
        elif name == "decoder_logits" and (
            model.decoder is None or model.use_transducer_decoder
        ):
            raise InputError(
                "tap 'decoder_logits' needs a student with an attention decoder"
            )
        elif name in TRANSDUCER and not model.use_transducer_decoder:
            raise InputError(
                f"tap {name!r} needs a transducer student (decoder: transducer), this "
                f"one's decoder is {type(model.decoder).__name__}"
            )
        elif name in CIF and not isinstance(model.decoder, CIFDecoder):
            raise InputError(
                f"tap {name!r} needs a CIF student (decoder: lmkd_cif), this one's "
                f"decoder is {type(model.decoder).__name__}"
            )
        elif name == "decoder_attention" and not cross_attentions(model.decoder):
            raise InputError(
                "tap 'decoder_attention' needs a student with ESPnet's transformer "
                "decoder (ctc_weight < 1), this one's is "
                f"{type(model.decoder).__name__}"
            )
        elif name == "decoder_states" and decoder_size(model) is None:
            raise InputError(
                "tap 'decoder_states' needs a student with an attention decoder that "
                "has an output layer, such as ESPnet's transformer or rnn "
                "(ctc_weight < 1), "
                f"this one has {type(model.decoder).__name__}"
            )


class Taps:
    """Collect activations by forward hooks, as a context around one forward pass.

    A layer skipped by layer drop passes its input on, so its output is that of the
    last layer that ran before it. Layer outputs are normalised by the encoder's final
    norm, as ESPnet's own intermediate CTC does.

    Args:
        model: an `ESPnetASRModel`.
        names: what to collect, see `AbsDistiller`.
    """

    def __init__(self, model: torch.nn.Module, names: Iterable[str]):
        self.model, self.names = model, set(names)
        self.layers, self.seen, self.handles = {}, {}, []

    def __enter__(self) -> "Taps":
        model = self.model
        if self.names - {"text"}:
            self._hook(model.encoder, self._on_encoder)
        if any(name.startswith(LAYER) for name in self.names):
            for index, layer in enumerate(model.encoder.encoders, 1):
                self.handles.append(layer.register_forward_pre_hook(self._on_input))
                self._hook(layer, self._on_layer(index))
        if "ctc_logits" in self.names:
            self._hook(model.ctc.ctc_lo, self._keep("ctc_logits"))
        if "decoder_logits" in self.names:
            self._hook(model.decoder, self._keep("decoder_logits"))
        if "decoder_states" in self.names:
            self._hook(_output_layer(model.decoder), self._on_output_layer)
        if "decoder_attention" in self.names:
            self._hook(model.decoder, self._on_attention)
        if "predictor_out" in self.names:
            self._hook(model.decoder, self._keep("predictor_out"))
        if self.names.intersection(SCORES):
            self._hook(model.arc_scores, self._on_arc_scores)
        if self.names.intersection(CIF):
            self._hook(model.decoder.integrator, self._on_integrator)
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()

    def collect(self, text: Padded) -> Dict[str, Padded]:
        """Return the activations of the pass that ran inside the context.

        `joint_network` is no activation but the module.
        """
        collected = {"text": text}
        if "joint_network" in self.names:
            collected["joint_network"] = self.model.joint_network
        for name in self.names - {"text", "joint_network"}:
            if name.startswith(LAYER):
                index = int(name[len(LAYER) :])
                data = self.layers[max(k for k in self.layers if k <= index)]
                _check_rate(name, data, self.seen["encoder_out"])
                if getattr(self.model.encoder, "normalize_before", False):
                    data = self.model.encoder.after_norm(data)
            else:
                data = self.seen[name]
            lengths = self.seen["lengths"]
            collected[name] = Padded(
                data, text.lengths + 1 if name in PER_TOKEN else lengths
            )
        return collected

    def _hook(self, module, function):
        self.handles.append(module.register_forward_hook(function))

    def _on_encoder(self, module, inputs, output):
        data, lengths, _ = output
        self.seen["encoder_out"] = data[0] if isinstance(data, tuple) else data
        self.seen["lengths"] = lengths
        # Self-conditioning calls the CTC layer within the encoder; the first call after
        # it is the final layer's, those of intermediate CTC follow.
        self.seen.pop("ctc_logits", None)

    def _on_input(self, module, inputs):
        self.layers.setdefault(0, _states(inputs))

    def _on_layer(self, index):
        def hook(module, inputs, output):
            self.layers[index] = _states(output)

        return hook

    def _on_output_layer(self, module, inputs, output):
        if inputs[0].dim() == 3:  # scheduled sampling asks for single tokens before
            self.seen.setdefault("decoder_states", inputs[0])

    def _on_attention(self, module, inputs, output):
        self.seen.setdefault("decoder_attention", kept_attention(module))

    def _on_arc_scores(self, module, inputs, output):
        self.seen.update(zip(SCORES, output))

    def _on_integrator(self, module, inputs, output):
        self.seen.setdefault("cif_vectors", output.vectors.data)
        self.seen.setdefault("cif_weights", output.weights)

    def _keep(self, name):
        def hook(module, inputs, output):
            data = output[0] if isinstance(output, tuple) else output
            self.seen.setdefault(name, data)

        return hook


def _check_rate(name, states, encoder_out):
    if states.shape[1] != encoder_out.shape[1]:
        raise InputError(
            f"tap {name!r} has {states.shape[1]} frames where the encoder's output has "
            f"{encoder_out.shape[1]}; choose a layer behind the last pooling"
        )


def _states(values):
    """Return the hidden states among a layer's ((x, position), mask, ...)."""
    while isinstance(values, tuple):
        values = values[0]
    return values
