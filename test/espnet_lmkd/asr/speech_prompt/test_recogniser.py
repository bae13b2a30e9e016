"""A speech-prompted language model within ESPnet: trained, and searched by ESPnet."""

import inspect

import pytest
import torch
import yaml
from tiny_llm import write_student
from tiny_prompted import SIZE, batch, build, save
from two_ranks import check, train

from espnet_lmkd.errors import InputError


@pytest.mark.parametrize("bridge", ["conv", "ctc", "cif", "posterior"])
def test_loss_falls_and_the_frozen_model_stays(bridge, tmp_path):
    conf = {"bridge": bridge, "bridge_conf": {}, "lora": {"r": 4}}
    if bridge == "posterior":
        student, *_ = write_student(tmp_path, size=8)
        conf["bridge_conf"] = {"student": str(student)}
    model, _ = build(tmp_path, decoder_conf=conf)
    model.train()
    frozen = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss, stats, _ = model(**batch())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    moved = dict(model.named_parameters())
    assert frozen and all(moved[name].equal(value) for name, value in frozen.items())
    wanted = ("decoder.lm.model.", "decoder.bridge.ctc_lo.")
    assert all(name.startswith(wanted) for name in frozen)
    for name, parameter in moved.items():
        assert (parameter.grad is not None) == (name not in frozen), name


def test_gradients_of_two_ranks_are_those_of_one_process(tmp_path):
    students = {}
    for bridge in ("conv", "cif"):
        conf = {"bridge": bridge, "bridge_conf": {}, "lora": {"r": 4}}
        model, args = build(tmp_path, decoder_conf=conf)
        whole = batch()
        whole["speech_lengths"][:] = 20  # ESPnet's convolutions see the padding
        students[bridge] = args, model.eval(), whole
    trained = train(students, tmp_path)
    for bridge in students:
        check(trained, bridge)


def test_parts_that_would_train_something_else_are_refused(tmp_path):
    cif = {"bridge": "cif", "bridge_conf": {}}
    with pytest.raises(InputError, match="bridge: cif has a loss of its own"):
        build(tmp_path, decoder_conf=cif, model="espnet", ctc_weight=0.0)
    with pytest.raises(InputError, match="sym_blank is token 5, and ESPnet's CTC"):
        build(
            tmp_path, sym_blank=(tmp_path / "tokens/tokens.txt").read_text().split()[5]
        )
    build(tmp_path, sym_blank="<|im_end|>", ctc_weight=0.0)


def test_quantity_loss_is_added(tmp_path):
    conf = {"bridge": "cif", "bridge_conf": {"quantity_weight": 2.0}}
    model, _ = build(tmp_path, decoder_conf=conf, ctc_weight=0.0)
    model.eval()
    loss = model(**batch())[0].detach()
    quantity = model.decoder.quantity_losses.detach()
    assert quantity.shape == (3,)
    model.decoder.bridge.quantity_weight = 0.0
    without = model(**batch())[0].detach()
    expected = float(without + 2.0 * quantity.mean())
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_loss_is_the_cross_entropy_of_text_and_eos(tmp_path):
    model, _ = build(tmp_path, ctc_weight=0.0)
    model.eval()
    with torch.no_grad():
        loss, _, _ = model(**batch())
        data = batch()  # ESPnet normalises in place
        hs, lengths = model.encode(data["speech"], data["speech_lengths"])
        total = 0.0
        for h, n, text, m in zip(hs, lengths, data["text"], data["text_lengths"]):
            ids = [model.sos, *text[:m].tolist()]
            logits, _ = model.decoder(
                h[None, :n], n[None], torch.tensor([ids]), m[None] + 1
            )
            targets = torch.tensor([*text[:m].tolist(), model.eos])
            total += torch.nn.functional.cross_entropy(
                logits[0], targets, reduction="sum"
            )
    assert float(loss) == pytest.approx(float(total / 3), rel=1e-4)


@pytest.mark.parametrize("ctc_weight", [0.0, 0.4])
def test_espnets_beam_search(ctc_weight, tmp_path):
    from espnet2.bin.asr_inference import Speech2Text

    model, args = build(tmp_path)
    exp = save(model, args, tmp_path / "exp")
    (tmp_path / "lm").rename(tmp_path / "gone")  # nothing is read from there
    speech2text = Speech2Text(
        str(exp / "config.yaml"),
        str(exp / "valid.acc.ave.pth"),
        beam_size=4,
        ctc_weight=ctc_weight,
        nbest=2,
    )
    speech = torch.randn(20, SIZE, generator=torch.Generator().manual_seed(2))
    best, second = speech2text(speech.numpy())
    assert best[2] != second[2] and best[3].score >= second[3].score
    ids = best[3].yseq.tolist()
    assert (ids[0], ids[-1]) == (model.sos, model.eos)
    model = speech2text.asr_model
    with torch.no_grad():
        hs, lengths = model.encode(speech[None], torch.tensor([20]))
        inputs = torch.tensor([ids[:-1]])
        logits, _ = model.decoder(hs, lengths, inputs, torch.tensor([len(ids) - 1]))
    scores = logits[0].log_softmax(1)[range(len(ids) - 1), ids[1:]]
    if len(ids) - 2 == len(speech):  # the longest, whose eos has no score
        scores = scores[:-1]
    expected = float(scores.sum())
    assert best[3].scores["decoder"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("ctc_weight", [0.0, 0.4])
def test_espnets_beam_search_in_batches(ctc_weight, tmp_path):
    from espnet2.bin.asr_inference import Speech2Text

    model, args = build(tmp_path)
    exp = save(model, args, tmp_path / "exp")
    files = str(exp / "config.yaml"), str(exp / "valid.acc.ave.pth")
    speech2text = Speech2Text(*files, beam_size=3, ctc_weight=ctc_weight)
    search = speech2text.beam_search
    if "x_lengths" not in inspect.signature(search.forward).parameters:
        pytest.skip("this ESPnet searches one utterance at a time")
    lengths = torch.tensor([12, 5, 9])
    frames = torch.randn(3, 12, 8, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        together = search(x=frames, x_lengths=lengths)
        for found, x, n in zip(together, frames, lengths):
            alone = search(x=x[:n])
            assert found[0].yseq.tolist() == alone[0].yseq.tolist()
            assert float(found[0].score) == pytest.approx(
                float(alone[0].score), rel=1e-4
            )
    assert len({tuple(found[0].yseq.tolist()) for found in together}) > 1


def test_configuration_is_complete_and_readable(tmp_path):
    _, args = build(tmp_path, decoder_conf={"instruction": "the sea"})
    config = args.decoder_conf["config"]
    assert yaml.safe_load(yaml.safe_dump(config)) == config
    assert len(config["instruction"]) and config["lm"]["model_type"] == "llama"


def test_initialisation_would_overwrite_the_model(tmp_path):
    from espnet_lmkd.asr.task import ASRKDTask

    _, args = build(tmp_path)
    args.init = "xavier_uniform"
    with pytest.raises(InputError, match="set init: none"):
        ASRKDTask.build_model(args)


def test_ctc_bridge_wants_a_ctc_layer(tmp_path):
    conf = {"bridge": "ctc", "bridge_conf": {}}
    model, _ = build(tmp_path, decoder_conf=conf, ctc_weight=0.0)
    with pytest.raises(InputError, match="ctc_weight above 0"):
        model(**batch())
