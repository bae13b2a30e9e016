import pytest
import torch

from espnet_lmkd.asr.cif_decoder import CIFDecoder, never
from espnet_lmkd.padded import Padded

V, D, EOS = 7, 8, 6


@pytest.fixture(params=[True, False], ids=["autoregressive", "parallel"])
def decoder(request):
    torch.manual_seed(0)
    return CIFDecoder(
        V, D, attention_heads=2, linear_units=8, autoregressive=request.param
    ).eval()


@pytest.fixture
def frames():
    return torch.randn(3, 12, D, generator=torch.Generator().manual_seed(1))


TOKENS = torch.tensor([[EOS, 2, 3, 4], [EOS, 5, 2, 0], [EOS, 3, 0, 0]])
LENGTHS, FRAMES = torch.tensor([4, 3, 2]), torch.tensor([12, 9, 4])


def test_there_is_a_vector_a_token_and_eos(decoder, frames):
    logits, lengths = decoder(frames, FRAMES, TOKENS, LENGTHS)
    assert logits.shape == (3, 4, V) and lengths.equal(LENGTHS)
    for i, (n, t) in enumerate(zip(LENGTHS, FRAMES)):
        alone, _ = decoder(
            frames[i : i + 1, :t], t[None], TOKENS[i : i + 1, :n], n[None]
        )
        torch.testing.assert_close(alone[0], logits[i, :n])


def test_quantity_is_the_distance_of_unscaled_weights_from_the_tokens(decoder, frames):
    decoder(frames, FRAMES, TOKENS, LENGTHS)
    for i, (n, t) in enumerate(zip(LENGTHS, FRAMES)):
        # The formula of the class, frame by frame.
        padded = torch.nn.functional.pad(frames[i, :t], (0, 0, 1, 1))
        conv, linear, total = decoder.integrator.conv, decoder.integrator.linear, 0.0
        for k in range(t):
            hidden = torch.einsum("oik,ki->o", conv.weight, padded[k : k + 3])
            total += torch.sigmoid(linear((hidden + conv.bias).relu()))
        torch.testing.assert_close(decoder.quantity_losses[i], (total - n).abs()[0])


def test_a_token_is_seen_by_those_after_it_only(decoder, frames):
    logits, _ = decoder(frames, FRAMES, TOKENS, LENGTHS)
    other = TOKENS.clone()
    other[0, 2] = 5
    changed = (decoder(frames, FRAMES, other, LENGTHS)[0] - logits).abs().amax(2)
    assert changed[1:].max() == 0 and changed[0, :2].max() < 1e-6
    if decoder.autoregressive:
        assert changed[0, 2:].min() > 1e-4
    else:
        assert changed.max() == 0


@torch.no_grad()
def test_scores_step_by_step_are_those_of_the_whole_sentence(decoder, frames):
    with torch.no_grad():  # about one fire in two frames
        decoder.integrator.linear.bias.zero_()
    vectors = decoder.integrator(Padded(frames[:1], FRAMES[:1])).vectors
    count = int(vectors.lengths[0])
    assert count >= 4
    tokens = torch.tensor([[EOS, 2, 3, 4, 5, 1, 2, 3, 4, 5][:count]])
    logits = decoder._logits(vectors.data, Padded(tokens, vectors.lengths))
    whole, state = logits[0].log_softmax(1), None
    for n in range(1, count + 1):
        scores, state = decoder.score(tokens[0, :n], state, frames[0])
        torch.testing.assert_close(scores, whole[n - 1])
    beyond = torch.cat([tokens[0], torch.tensor([2])])
    scores, state = decoder.score(beyond, state, frames[0])
    assert scores[EOS] == 0 and (scores[:EOS] == never(torch.float32)).all()


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16])
def test_half_precision_scores(decoder, frames, dtype):
    wide = decoder.score(TOKENS[0, :1], None, frames[0])[0]
    half, frames = decoder.to(dtype), frames[0].to(dtype)
    scores, state = half.score(TOKENS[0, :1], None, frames)
    assert scores.dtype == dtype
    torch.testing.assert_close(scores.float(), wide, rtol=0.05, atol=0.05)
    beyond = torch.full((1 + len(state.vectors),), EOS)
    scores, _ = half.score(beyond, state, frames)  # no vector is left
    assert scores[EOS] == 0 and scores.isfinite().all() and scores[:EOS].max() < -1e4


def test_hypotheses_of_padded_utterances_are_scored_together(decoder, frames):
    mask = (torch.arange(12) < FRAMES[:, None]).unsqueeze(1)
    states, alone = [None] * 3, [None] * 3
    prefixes = torch.tensor([[EOS, 2, 3, 4, 2, 3, 4, 2]] * 3)
    for n in range(1, 8):
        scores, states = decoder.batch_score(prefixes[:, :n], states, frames, mask)
        for i, t in enumerate(FRAMES):
            expected, alone[i] = decoder.score(prefixes[i, :n], alone[i], frames[i, :t])
            torch.testing.assert_close(scores[i], expected)


def test_all_at_once_takes_the_best_of_each_vector(frames):
    torch.manual_seed(0)
    decoder = CIFDecoder(
        V, D, attention_heads=2, linear_units=8, autoregressive=False
    ).eval()
    with torch.no_grad():
        decoder.output_layer.bias[EOS] -= 1
    found = decoder.parallel_decode(Padded(frames, FRAMES))
    for i, (ids, score) in enumerate(found):
        expected, state, total = [EOS], None, 0.0
        while True:
            prefix = torch.tensor(expected)
            scores, state = decoder.score(prefix, state, frames[i, : FRAMES[i]])
            total += float(scores.max())  # 0 where no vector is left
            if scores.argmax() == EOS:
                break
            expected.append(int(scores.argmax()))
        assert ids == expected[1:] and score == pytest.approx(total, rel=1e-5)
    assert any(ids for ids, _ in found)


def test_an_utterance_without_a_fire_has_no_token(decoder, frames):
    with torch.no_grad():
        decoder.integrator.linear.bias.fill_(-30)
    scores, _ = decoder.score(torch.tensor([EOS]), None, frames[0])
    assert scores.argmax() == EOS
    if not decoder.autoregressive:
        assert decoder.parallel_decode(Padded(frames, FRAMES)) == [([], 0.0)] * 3


def test_weights_learn_the_number_of_tokens(frames):
    torch.manual_seed(0)
    decoder = CIFDecoder(V, D, attention_heads=2, linear_units=8)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.01)
    labels = torch.tensor([[2, 3, 4, EOS], [5, 2, EOS, -1], [3, EOS, -1, -1]])
    losses = []
    for _ in range(40):
        logits, _ = decoder(frames, FRAMES, TOKENS, LENGTHS)
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), ignore_index=-1
        )
        losses.append((loss.item(), decoder.quantity_losses.sum().item()))
        optimizer.zero_grad()
        (loss + decoder.quantity_losses.sum()).backward()
        optimizer.step()
    assert losses[-1][0] < 0.5 * losses[0][0] and losses[-1][1] < 0.3 * losses[0][1]
