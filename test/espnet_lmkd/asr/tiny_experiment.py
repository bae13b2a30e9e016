"""Experiments as training leaves them, with random weights: what decoding reads."""

import numpy as np
import sentencepiece
import soundfile
import torch
import yaml

SENTENCES = ["the cat sat on the mat", "a dog ran", "she sees the sea", "no one", "oh"]
DECODER = dict(attention_heads=2, linear_units=16, num_blocks=1)
INTERAED = dict(
    type="interaed", weight=0.5, conf=dict(layers=[1], decoder_conf=DECODER)
)
IDS = ["s1-a", "s1-b", "s2-c", "s2-short", "s2-tiny"]
LENGTHS = dict(zip(IDS, [9_000, 16_000, 12_345, 600, 100]))


def make_speech(root):
    """Write a data directory of noise; the last two are too short to decode."""
    data = root / "dump" / "test"
    data.mkdir(parents=True)
    generator = np.random.default_rng(0)
    paths = {}
    for utterance, length in LENGTHS.items():
        paths[utterance] = root / f"{utterance}.wav"
        speech = generator.normal(0, 0.1, length) * np.sin(np.arange(length) / 700)
        soundfile.write(paths[utterance], speech, 16_000)
    texts = dict(zip(LENGTHS, SENTENCES))
    for name, table in (("wav.scp", paths), ("text", texts)):
        lines = [f"{key} {table[key]}\n" for key in sorted(table)]
        (data / name).write_text("".join(lines))
    return data


def make_tokens(root):
    """Train sentence pieces and return the token list in ESPnet's order."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 20),
        model_prefix=str(root / "bpe"),
        vocab_size=22,
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_file=str(root / "bpe.model"))
    pieces = [model.id_to_piece(i) for i in range(len(model))]
    return ["<blank>", "<unk>", *pieces[3:], "<sos/eos>"]


def make_student(
    root, name, encoder_conf=None, decoder=None, input_size=None, **model_conf
):
    """Write `config.yaml` and `valid.cer_ctc.ave.pth` of a tiny distilled student."""
    from espnet_lmkd.asr.task import ASRKDTask

    exp = root / name
    exp.mkdir()
    stats = root / "feats_stats.npz"
    np.savez(stats, count=10, sum=np.ones(80), sum_square=np.full(80, 50.0))
    args = ASRKDTask.get_parser().parse_args([])
    args.token_list, args.token_type = make_tokens(root), "bpe"
    args.bpemodel = str(root / "bpe.model")
    args.normalize, args.normalize_conf = "global_mvn", {"stats_file": str(stats)}
    args.train_data_path_and_name_and_type = [
        ("dump/raw/train/wav.scp", "speech", "sound"),
        ("dump/targets/teacher_topk_ids.scp", "teacher_topk_ids", "lmkd_target"),
    ]
    if input_size:  # of dumped features
        args.input_size, args.frontend = input_size, None
        args.normalize, args.normalize_conf = None, {}
    args.model, args.init = "lmkd", None
    ctc_weight = {None: 1.0, "transducer": 0.0}.get(decoder, 0.5)
    args.model_conf = dict(ctc_weight=ctc_weight, distillers=[INTERAED])
    if decoder:
        args.decoder, args.decoder_conf = decoder, DECODER
    if decoder == "transducer":
        args.decoder_conf = dict(hidden_size=12)
        args.joint_net_conf = dict(joint_space_size=16)
        args.model_conf["distillers"] = [dict(type="one_best_path")]
        args.model_conf["live_teacher"] = dict(
            asr_train_config="exp/teacher/config.yaml",
            asr_model_file="exp/teacher/a.pth",
        )
    args.model_conf.update(model_conf)
    args.encoder = "conformer"
    args.encoder_conf = dict(
        output_size=16, attention_heads=2, linear_units=24, num_blocks=2
    )
    args.encoder_conf.update(encoder_conf or {})
    torch.manual_seed(0)
    return _save(ASRKDTask.build_model(args), args, exp / "valid.cer_ctc.ave.pth")


LMS = dict(
    seq_rnn=dict(unit=8, nlayers=1),
    transformer=dict(
        embed_unit=8, att_unit=8, head=2, unit=8, layer=1, dropout_rate=0.5
    ),
)


def make_lm(root, token_list, name="lm", kind="seq_rnn"):
    """Write a tiny language model on the same tokens."""
    from espnet2.tasks.lm import LMTask

    exp = root / name
    exp.mkdir()
    args = LMTask.get_parser().parse_args([])
    args.token_list, args.lm = token_list, kind
    args.lm_conf = LMS[kind]
    torch.manual_seed(1)
    return _save(LMTask.build_model(args), args, exp / "valid.loss.ave.pth")


def _save(model, args, path):
    with torch.no_grad():  # peaked outputs, so that hypotheses are not all the same
        for name, parameter in model.named_parameters():
            if name in PEAKED:
                parameter.mul_(15)
            if name == "joint_network.lin_out.bias":
                parameter[0] = 8  # beam search stays where no blank is likely
    torch.save(model.state_dict(), path)
    config = yaml.safe_load(yaml.dump(vars(args), Dumper=_Dumper))
    (path.parent / "config.yaml").write_text(yaml.safe_dump(config))
    return path.parent


PEAKED = ("ctc.ctc_lo.weight", "lm.decoder.weight", "joint_network.lin_out.weight")


class _Dumper(yaml.SafeDumper):
    """Tuples as lists, as ESPnet writes them."""

    def ignore_aliases(self, data):
        return True


_Dumper.add_representer(tuple, lambda dumper, data: dumper.represent_list(data))
