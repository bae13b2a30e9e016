"""A tiny speech-prompted recogniser with random weights, as training leaves it."""

import numpy as np
import torch
from espnet2.utils.yaml_no_alias_safe_dump import yaml_no_alias_safe_dump
from tiny_llm import save_llm, save_tokenizer

from espnet_lmkd.asr.speech_prompt.llm_tokens import write_llm_tokens

SIZE = 6  # values of a frame of dumped features
ENCODER = dict(
    output_size=8,
    attention_heads=2,
    linear_units=16,
    num_blocks=1,
    input_layer="linear",
    cnn_module_kernel=3,
)


def build(
    root, lm_conf=None, decoder_conf=None, hubert=None, model="lmkd", **model_conf
):
    """Return a recogniser of features, or of raw speech, and what built it."""
    from espnet_lmkd.asr.task import ASRKDTask

    if not (root / "lm").is_dir():
        # The model has more outputs than there are tokens.
        save_llm("llama", root / "lm", vocab_size=64, **(lm_conf or {}))
        save_tokenizer(root / "lm")
        write_llm_tokens(root / "lm", root / "tokens")
    args = ASRKDTask.get_parser().parse_args([])
    args.token_list, args.token_type = (
        str(root / "tokens" / "tokens.txt"),
        "hugging_face",
    )
    args.bpemodel = str(root / "tokens")
    args.input_size, args.init = SIZE, None
    stats = root / "feats_stats.npz"
    np.savez(stats, count=10, sum=np.ones(SIZE), sum_square=np.full(SIZE, 20.0))
    args.normalize, args.normalize_conf = "global_mvn", {"stats_file": str(stats)}
    args.model = model
    args.model_conf = dict(
        ctc_weight=0.3,
        sym_blank="<|endoftext|>",
        sym_sos="<|im_start|>",
        sym_eos="<|im_end|>",
        sym_space="Ġ",
    )
    args.model_conf.update(model_conf)
    args.encoder, args.encoder_conf = "conformer", ENCODER
    args.decoder = "lmkd_speech_prompt"
    args.decoder_conf = {
        "model": str(root / "lm"),
        "bridge_conf": {"num_convs": 0},
        **(decoder_conf or {}),
    }
    if hubert:
        args.input_size, args.normalize = 1, None
        args.encoder, args.encoder_conf = "lmkd_speech", {"model": str(hubert)}
        args.decoder_conf["bridge_conf"] = {"num_convs": 2}
    torch.manual_seed(0)
    return ASRKDTask.build_model(args), args


def save(model, args, exp):
    """Write `config.yaml` and `valid.acc.ave.pth`."""
    exp.mkdir()
    torch.save(model.state_dict(), exp / "valid.acc.ave.pth")
    (exp / "config.yaml").write_text(yaml_no_alias_safe_dump(vars(args)))
    return exp


def batch():
    generator = torch.Generator().manual_seed(1)
    return dict(
        speech=torch.randn(3, 20, SIZE, generator=generator),
        speech_lengths=torch.tensor([20, 11, 14]),
        text=torch.tensor([[20, 21, 22, 23], [30, -1, -1, -1], [40, 41, -1, -1]]),
        text_lengths=torch.tensor([4, 1, 2]),
    )
