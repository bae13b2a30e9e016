"""The transducer search is judged by ESPnet's own; what does not fit is refused."""

import dataclasses

import pytest
import torch
import yaml
from tiny_experiment import make_lm, make_speech, make_student

from espnet_lmkd.bin import asr_inference, tune_decode
from espnet_lmkd.errors import InputError


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a folder with speech, transducers, a CTC student and language models."""
    root = tmp_path_factory.mktemp("world")
    make_speech(root)
    make_student(root, "ctc")
    student = make_student(root, "transducer", decoder="transducer")
    make_student(root, "hybrid", decoder="transducer", ctc_weight=0.3)
    make_student(root, "attention", decoder="transformer", ctc_weight=0.0)
    tokens = yaml.safe_load((student / "config.yaml").read_text())["token_list"]
    make_lm(root, tokens, "rnn_lm")
    make_lm(root, tokens, "transformer_lm", "transformer")
    return root


def files(world, name="transducer", lm="rnn_lm"):
    return dict(
        train_config=world / name / "config.yaml",
        model_file=world / name / "valid.cer_ctc.ave.pth",
        lm_train_config=world / lm / "config.yaml",
        lm_file=world / lm / "valid.loss.ave.pth",
    )


def recogniser(world, name="transducer", lm="rnn_lm", search="transducer", **changes):
    from espnet_lmkd.asr.decoding import Recogniser
    from espnet_lmkd.asr.search import SearchOptions

    options = dataclasses.replace(SearchOptions(search), **changes)
    return Recogniser(options=options, **files(world, name, lm))


def speech_of(world):
    from espnet_lmkd.asr.inputs import read_input

    return read_input(world / "s1-a.wav", 16_000)


@pytest.mark.parametrize(
    "conf, lm, lm_weight",
    [
        (dict(search_type="default"), None, 0.0),
        (dict(search_type="maes", score_norm=False, nstep=3), None, 0.0),
        (dict(search_type="default"), "rnn_lm", 0.4),
        (dict(search_type="default"), "transformer_lm", 0.4),
        (dict(search_type="maes"), "rnn_lm", 0.4),
    ],
)
def test_the_beam_is_espnets_own(world, conf, lm, lm_weight):
    from espnet2.bin.asr_inference import Speech2Text

    given = {key: str(path) for key, path in files(world, lm=lm or "rnn_lm").items()}
    stock = Speech2Text(
        given["train_config"],
        given["model_file"],
        transducer_conf=conf,
        lm_train_config=given["lm_train_config"] if lm else None,
        lm_file=given["lm_file"] if lm else None,
        beam_size=3,
        lm_weight=lm_weight,
    )
    if lm:
        stock.beam_search_transducer.lm.eval()  # ESPnet forgets it
    ours = recogniser(
        world,
        lm=lm or "rnn_lm",
        beam_size=3,
        lm_weight=lm_weight,
        transducer_conf=conf,
    )
    speech = speech_of(world)
    (*expected, best), *_ = stock(speech)
    found = ours(speech)
    assert found == (*expected, float(best.score), None) and found.tokens
    assert ours(speech) == found


def test_several_hypotheses_are_different_ones(world):
    found = recogniser(
        world, beam_size=6, nbest=3, transducer_conf=dict(score_norm=False)
    ).nbest(speech_of(world))
    assert len({tuple(hyp.token_ids) for hyp in found}) == len(found) > 1
    scores = [hyp.score for hyp in found]
    assert scores == sorted(scores, reverse=True)
    with pytest.raises(InputError, match="score_norm: false"):
        recogniser(world, beam_size=6, nbest=3)


def test_a_beam_of_one_is_the_greedy_search(world):
    """The judge takes the best class of each frame, one step after another."""
    greedy = recogniser(world, beam_size=1)
    found, model = greedy(speech_of(world)), greedy.model
    speech = torch.as_tensor(speech_of(world))
    with torch.no_grad():
        states, _ = model.encode(speech[None], torch.tensor([len(speech)]))
        tokens, score = [], 0.0
        for state in states[0]:
            predicted = model.decoder(torch.tensor([[0, *tokens]]))[0, -1]
            log_probs = model.joint_network(state, predicted).log_softmax(-1)
            token = int(log_probs.argmax())
            if token != 0:
                tokens.append(token)
                score += float(log_probs[token])
    assert found.token_ids == tokens and len(tokens) > 1
    assert found.score == pytest.approx(score, abs=1e-3)


def test_its_auxiliary_ctc_can_be_searched(world):
    found = recogniser(world, "hybrid", search="ctc_greedy")(speech_of(world))
    assert found.tokens


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("ctc", dict(), "needs decoder: transducer, which .* use search: ctc_greedy"),
        ("hybrid", dict(search="beam"), "is a transducer; use search: transducer"),
        (
            "attention",
            dict(search="beam", ctc_weight=0.3),
            "0.3 of search: beam needs a student with CTC.*set ctc_weight: 0",
        ),
        ("transducer", dict(search="ctc_greedy"), "ctc_weight > 0.*search: transducer"),
        ("transducer", dict(beam_size=1, lm_weight=0.3), "set lm_weight: 0 or beam"),
        ("transducer", dict(penalty=1.0), "penalty beside a language model only"),
        (
            "transducer",
            dict(transducer_conf=dict(beam=3)),
            "unknown option .'beam'. of transducer_conf; choose from .*search_type",
        ),
        (
            "transducer",
            dict(transducer_conf=dict(search_type="greedy")),
            "unknown search_type 'greedy'; choose from .*'maes'",
        ),
        (
            "transducer",
            dict(lm_weight=0.3, transducer_conf=dict(search_type="maes")),
            "maes takes no Transformer language model",
        ),
        (
            "ctc",
            dict(search="ctc_greedy", transducer_conf=dict(nstep=2)),
            "for search: transducer only",
        ),
    ],
)
def test_what_does_not_fit_is_refused(world, name, options, message):
    with pytest.raises(InputError, match=message):
        recogniser(world, name, "transformer_lm", **options)


def test_a_file_with_foolish_options_is_named(tmp_path):
    from espnet_lmkd.asr.search import SearchOptions

    (tmp_path / "decode.yaml").write_text("search: transducer\nmaxlenratio: 0.3\n")
    with pytest.raises(InputError, match="decode.yaml: .* has no maxlenratio"):
        SearchOptions.from_yaml(tmp_path / "decode.yaml")


def test_the_weight_of_the_language_model_is_tuned(world, tmp_path, capsys):
    given = files(world)
    (tmp_path / "decode.yaml").write_text("search: transducer\nbeam_size: 2\n")
    model = (
        ["--asr_train_config", str(given["train_config"])]
        + ["--asr_model_file", str(given["model_file"])]
        + ["--lm_train_config", str(given["lm_train_config"])]
        + ["--lm_file", str(given["lm_file"]), "--output_dir", str(tmp_path)]
        + ["--num_utts", "2"]
    )
    data = str(world / "dump" / "test")
    tune_decode.main(
        [*model, "--config", str(tmp_path / "decode.yaml"), "--data_dir", data]
        + ["--lm_weight", "0.0", "0.7", "--beam_size", "2", "--penalty", "0", "1"]
    )
    assert len(capsys.readouterr().out.strip().split("\n")) == 2 + 3
    tuned = ["--config", str(tmp_path / "decode_tuned.yaml")]
    asr_inference.main([*model, *tuned, "--data_dirs", data])
    assert len((tmp_path / "test" / "text").read_text().splitlines()) == 2


def test_a_tuned_weight_is_that_of_a_fresh_search(world):
    from espnet_lmkd.asr.search import SearchOptions
    from espnet_lmkd.asr.tuning import set_weights

    fresh = recogniser(world, beam_size=3, lm_weight=0.7)
    tuned = recogniser(world, beam_size=3, lm_weight=3.0)
    speech = speech_of(world)
    assert tuned(speech) != fresh(speech)
    set_weights(tuned, SearchOptions("transducer", 3, lm_weight=0.7))
    assert tuned(speech) == fresh(speech)


@pytest.mark.parametrize(
    "conf, lm",
    [
        ({"search_type": "default"}, "transformer_lm"),
        ({"search_type": "tsd", "max_sym_exp": 2}, "rnn_lm"),
    ],
)
def test_tokens_of_a_transducer_are_rewarded(world, conf, lm):
    """The best path of a beam that loses nothing gains the reward of its tokens."""
    conf = dict(conf, score_norm=False)
    plain, paid, most = (
        recogniser(
            world, lm=lm, beam_size=3, lm_weight=0.5, penalty=p, transducer_conf=conf
        )(speech_of(world))
        for p in (0.0, 1e-3, 30.0)
    )
    assert paid.token_ids == plain.token_ids and plain.tokens
    expected = plain.score + 1e-3 * len(plain.tokens)
    assert paid.score == pytest.approx(expected, abs=1e-4)
    assert len(most.tokens) > len(plain.tokens)


def make_cif(world, autoregressive):
    """Write a CIF student and return its name."""
    from espnet_lmkd.asr.task import ASRKDTask

    name = f"cif-{autoregressive}"
    if (world / name).exists():
        return name
    exp = make_student(world, name, decoder="lmkd_cif", distillers=[])
    conf = yaml.safe_load((exp / "config.yaml").read_text())
    # The second layer reads what the first has made of the tokens before.
    conf["decoder_conf"].update(autoregressive=autoregressive, num_blocks=2)
    (exp / "config.yaml").write_text(yaml.safe_dump(conf))
    torch.manual_seed(0)
    model, _ = ASRKDTask.build_model_from_file(exp / "config.yaml")
    with torch.no_grad():  # else the tokens before hardly change a score
        model.decoder.output_layer.weight.mul_(15)
        if autoregressive:
            model.decoder.embed.weight.mul_(5)
    torch.save(model.state_dict(), exp / "valid.cer_ctc.ave.pth")
    return name


@pytest.mark.parametrize("autoregressive", [True, False])
@pytest.mark.parametrize("ctc_weight, lm_weight", [(0.0, 0.0), (0.3, 0.5)])
def test_cif_hypotheses_together_and_one_by_one(
    world, autoregressive, ctc_weight, lm_weight
):
    found = recogniser(
        world,
        make_cif(world, autoregressive),
        search="beam",
        beam_size=5,
        ctc_weight=ctc_weight,
        lm_weight=lm_weight,
        nbest=5,
    )
    together = found.nbest(speech_of(world))
    search = found.speech2text.beam_search
    search.__class__ = type(search).__base__  # ESPnet makes it batched in this way
    one_by_one = found.nbest(speech_of(world))
    assert type(search).__name__ == "BeamSearch" and len(together) == 5
    assert [hyp.token_ids for hyp in together] == [hyp.token_ids for hyp in one_by_one]
    for hyp, alone in zip(together, one_by_one):
        assert hyp.score == pytest.approx(alone.score, abs=1e-4)
    assert any(hyp.tokens for hyp in together)


def test_all_tokens_of_a_cif_recogniser_at_once(world):
    with pytest.raises(InputError, match="autoregressive: false"):
        recogniser(world, make_cif(world, True), search="cif_parallel")
    name, speech = make_cif(world, False), speech_of(world)
    at_once = recogniser(world, name, search="cif_parallel")(speech)
    searched = recogniser(
        world, name, search="beam", beam_size=1, ctc_weight=0.0, maxlenratio=1.0
    )(speech)
    assert at_once.token_ids == searched.token_ids
    assert at_once.score == pytest.approx(searched.score, rel=1e-4)
