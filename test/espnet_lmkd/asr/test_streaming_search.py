"""The search over pieces is ESPnet's search over all encoder outputs."""

import pytest
import torch
from tiny_streaming import pieces

from espnet_lmkd.errors import InputError
from espnet_lmkd.losses.transducer import rnnt_loss

VOCAB, FRAMES, SIZE = 9, 3, 5


def utterances(count, length, seed, noise):
    """Return token ids (B, L), and encoder outputs: each token for some frames."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(VOCAB, SIZE, generator=torch.Generator().manual_seed(0))
    tokens = torch.randint(1, VOCAB, (count, length), generator=generator)
    encoder_out = codes[tokens].repeat_interleave(FRAMES, 1)
    return tokens, encoder_out + noise * torch.randn(
        encoder_out.shape, generator=generator
    )


@torch.enable_grad()
def train(decoder, joint):
    """Train until most tokens are right: a random transducer is hardly searchable."""
    parameters = [*decoder.parameters(), *joint.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.03)
    for step in range(120):
        tokens, encoder_out = utterances(8, 5, seed=step, noise=0.5)
        labels = torch.nn.functional.pad(tokens, (1, 0))
        logits = joint(encoder_out[:, :, None], decoder(labels)[:, None])
        frames = torch.full((8,), encoder_out.size(1))
        loss = rnnt_loss(logits, tokens, frames, torch.full((8,), 5), 0, "mean")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.fixture(scope="module")
def build():
    """Return a function that builds ESPnet's search over a small trained transducer."""
    from espnet2.asr.decoder.transducer_decoder import TransducerDecoder
    from espnet2.asr.transducer.beam_search_transducer import BeamSearchTransducer
    from espnet2.asr_transducer.joint_network import JointNetwork
    from espnet2.lm.seq_rnn_lm import SequentialRNNLM

    built = {}

    def build(rnn_type="lstm", with_lm=False, trained=True, **options):
        torch.manual_seed(1)
        lm = SequentialRNNLM(VOCAB, unit=6, nlayers=1).eval() if with_lm else None
        if (rnn_type, trained) not in built:
            decoder = TransducerDecoder(VOCAB, rnn_type, hidden_size=12)
            joint = JointNetwork(VOCAB, SIZE, 12, joint_space_size=16)
            with torch.no_grad():
                joint.lin_out.bias[0] = 3.0  # else the beam search hardly ends
            if trained:
                train(decoder, joint)
            modules = [
                module.eval().requires_grad_(False) for module in (decoder, joint)
            ]
            built[rnn_type, trained] = modules
        return BeamSearchTransducer(
            *built[rnn_type, trained], lm=lm, lm_weight=0.6, nbest=5, **options
        )

    return build


OPTIONS = [
    dict(beam_size=1),
    dict(beam_size=1, rnn_type="gru"),
    dict(beam_size=2),
    dict(beam_size=4, rnn_type="gru"),
    dict(beam_size=10),  # more than there are tokens
    dict(beam_size=3, score_norm=False),
    dict(beam_size=3, score_norm_during=True),
    dict(beam_size=3, with_lm=True),
    dict(beam_size=4, trained=False),  # flat: any token may follow
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@torch.no_grad()
def test_pieces_are_searched_as_one(build, options):
    from espnet_lmkd.asr.streaming_search import SearchStream

    search = build(**options)
    for seed, encoder_out in enumerate(utterances(2, 6, seed=99, noise=0.6)[1]):
        for largest in (3, 9):
            stream, heard = SearchStream(search), 0
            for piece in pieces(encoder_out, seed, largest):
                best = stream(piece)
                heard += len(piece)
                expected = search(encoder_out[:heard])  # partial ones agree, too
                found = search.sort_nbest(list(stream.hyps))
                assert [hyp.yseq for hyp in found] == [hyp.yseq for hyp in expected]
                for one, other in zip(found, expected):
                    assert one.score == pytest.approx(float(other.score), rel=1e-5)
                assert best is found[0]
        assert len(best.yseq) > 3 or not options.get("trained", True)


def test_nothing_heard_is_nothing_recognised(build):
    from espnet_lmkd.asr.streaming_search import SearchStream

    best = SearchStream(build(beam_size=3))(torch.zeros(0, SIZE))
    assert best.yseq == [0] and best.score == 0.0


@torch.no_grad()
def test_streams_do_not_share_hypotheses(build):
    from espnet_lmkd.asr.streaming_search import SearchStream

    search = build(beam_size=3)
    first, second = SearchStream(search), SearchStream(search)
    one, other = utterances(2, 4, seed=5, noise=0.3)[1]
    for piece, other_piece in zip(one.split(2), other.split(2)):
        best, other_best = first(piece), second(other_piece)
    assert best.yseq == search(one)[0].yseq
    assert other_best.yseq == search(other)[0].yseq != best.yseq


@pytest.mark.parametrize("search_type", ["tsd", "alsd", "nsc", "maes", "mbg"])
def test_other_searches_are_refused(build, search_type):
    from espnet_lmkd.asr.streaming_search import SearchStream

    with pytest.raises(InputError, match="search_type: default"):
        SearchStream(build(beam_size=3, search_type=search_type))
