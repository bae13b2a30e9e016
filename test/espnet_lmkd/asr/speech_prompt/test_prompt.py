"""The prompt of an utterance is the same in every batch."""

import torch

from espnet_lmkd.asr.speech_prompt.prompt import build_prompt
from espnet_lmkd.padded import Padded


def test_rows_are_what_a_loop_puts_together():
    torch.manual_seed(0)
    frames, lengths = torch.randn(5, 7, 3), torch.tensor([4, 0, 6, 1, 6])
    begin, instruction = torch.randn(3), torch.randn(2, 3)
    prompt = build_prompt(Padded(frames, lengths), begin, instruction)
    assert prompt.embeds.shape == (5, 1 + 6 + 2, 3)  # the column nobody uses is gone
    for row, mask, speech, length in zip(*prompt, frames, lengths):
        expected = torch.cat([begin[None], speech[:length], instruction])
        assert row[mask].equal(expected) and mask[-len(expected) :].all()
        assert mask.sum() == len(expected)


def test_nothing_but_speech_gets_its_gradient():
    frames = torch.randn(2, 3, 4, requires_grad=True)
    prompt = build_prompt(
        Padded(frames, torch.tensor([3, 1])), torch.zeros(4), torch.zeros(0, 4)
    )
    (prompt.embeds * prompt.mask.unsqueeze(2)).sum().backward()
    assert frames.grad.sum(2).tolist() == [[4.0, 4.0, 4.0], [4.0, 0.0, 0.0]]
