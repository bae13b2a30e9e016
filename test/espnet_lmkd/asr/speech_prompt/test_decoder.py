"""`decoder: lmkd_speech_prompt` against stock language models, one utterance a time."""

import pytest
import torch
from tiny_llm import KINDS, save_llm, save_tokenizer

from espnet_lmkd.asr.speech_prompt.decoder import SpeechPromptDecoder
from espnet_lmkd.errors import InputError

SOS, EOS, BOS = 3, 2, 1
LENGTHS = torch.tensor([9, 2, 6])
YS = torch.tensor([[SOS, 7, 8, 9, 4], [SOS, 5, EOS, EOS, EOS], [SOS, 6, 6, EOS, EOS]])
YS_LENGTHS = torch.tensor([5, 2, 3])


def build(kind, folder, **conf):
    save_llm(kind, folder)
    torch.manual_seed(1)
    return SpeechPromptDecoder(18, 6, model=str(folder), **conf).eval()


def speech():
    return torch.randn(3, 9, 6, generator=torch.Generator().manual_seed(0))


def logits_alone(decoder, frames, tokens):
    """Logits (n, V) after each token: the stock model on one unpadded sequence."""
    lm = decoder.lm.model
    embed = lm.get_input_embeddings()
    embeds = torch.cat(
        [
            embed(torch.tensor([BOS])),
            decoder.bridge.linear(frames),
            embed(torch.tensor(decoder.prompt_config.instruction, dtype=torch.long)),
            embed(tokens),
        ]
    )
    return lm(inputs_embeds=embeds[None]).logits[0, -len(tokens) :, :18]


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_the_stock_models_alone(kind, tmp_path):
    decoder = build(kind, tmp_path, bridge_conf={"num_convs": 0})
    decoder.prompt_config.instruction.extend([11, 12])
    logits, lengths = decoder(speech(), LENGTHS, YS, YS_LENGTHS)
    assert logits.shape == (3, 5, 18) and lengths is YS_LENGTHS
    for row, frames, n, tokens, m in zip(logits, speech(), LENGTHS, YS, YS_LENGTHS):
        expected = logits_alone(decoder, frames[:n], tokens[:m])
        torch.testing.assert_close(row[:m], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("bridge", ["conv", "cif"])
def test_scores_are_the_log_probabilities_of_training(bridge, tmp_path):
    decoder = build("llama", tmp_path, bridge=bridge)
    if bridge == "cif":  # as many fires as tokens
        decoder.bridge.forward = lambda frames, _=None: type(decoder.bridge).forward(
            decoder.bridge, frames, YS_LENGTHS - 1
        )
    frames = speech()
    expected = decoder(frames, LENGTHS, YS, YS_LENGTHS)[0].log_softmax(2)
    mask = (torch.arange(9) < LENGTHS[:, None])[:, None]
    states = [None] * 3
    for step in range(5):
        found, states = decoder.batch_score(YS[:, : step + 1], states, frames, mask)
        valid = YS_LENGTHS > step
        torch.testing.assert_close(
            found[valid], expected[valid, step], rtol=1e-4, atol=1e-5
        )


@torch.no_grad()
def test_hypotheses_part_and_swap_places(tmp_path):
    decoder = build("gpt_neox", tmp_path, bridge_conf={"num_convs": 0})
    x = speech()[0]
    xs = x.expand(2, -1, -1)
    _, states = decoder.batch_score(torch.tensor([[SOS]]), [None], xs[:1])
    ys = torch.tensor([[SOS, 7], [SOS, 8]])
    _, states = decoder.batch_score(ys, [states[0]] * 2, xs)
    ys = torch.tensor([[SOS, 8, 4], [SOS, 7, 5]])
    found, _ = decoder.batch_score(ys, [states[1], states[0]], xs)
    for row, tokens in zip(found, ys):
        expected = logits_alone(decoder, x, tokens)[-1].log_softmax(0)
        torch.testing.assert_close(row, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_single_scores_may_share_a_state(tmp_path):
    decoder = build("llama", tmp_path, bridge_conf={"num_convs": 0})
    x = speech()[0]
    _, state = decoder.score(torch.tensor([SOS]), None, x)
    for token in (7, 8):
        found, _ = decoder.score(torch.tensor([SOS, token]), state, x)
        expected = logits_alone(decoder, x, torch.tensor([SOS, token]))[-1]
        torch.testing.assert_close(found, expected.log_softmax(0), rtol=1e-4, atol=1e-5)


def test_instruction_is_kept_as_ids(tmp_path):
    tokenizer = save_tokenizer(tmp_path)
    save_llm("llama", tmp_path, vocab_size=70)
    decoder = SpeechPromptDecoder(
        60, 6, model=str(tmp_path), instruction="the sea", bridge_conf={"num_convs": 1}
    )
    config = decoder.config()
    assert tokenizer.decode(config["instruction"]) == "the sea"
    again = SpeechPromptDecoder(
        60, 6, model="nowhere", config=config, bridge_conf={"num_convs": 1}
    )
    again.load_state_dict(decoder.state_dict())
    arguments = speech(), LENGTHS, YS, YS_LENGTHS
    with torch.no_grad():
        first, other = decoder.eval()(*arguments)[0], again.eval()(*arguments)[0]
    assert first.equal(other)


def test_more_tokens_than_the_model_has_are_refused(tmp_path):
    save_llm("llama", tmp_path)
    with pytest.raises(InputError, match="21 tokens came, the LM .* has 20"):
        SpeechPromptDecoder(21, 6, model=str(tmp_path))
