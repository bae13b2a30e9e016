"""What a CTC student says of texts: sums over all paths, torch and ESPnet judge."""

from itertools import groupby, product

import numpy as np
import pytest
import torch
import yaml
from tiny_prompted import SIZE, batch, build, save

from espnet_lmkd.asr.speech_prompt.ctc_guide import CTCGuide, ctc_scores
from espnet_lmkd.asr.speech_prompt.generation import generate

try:  # ESPnet 202609 and later
    from espnet2.legacy.nets.ctc_prefix_score import CTCPrefixScore
except ImportError:
    from espnet.nets.ctc_prefix_score import CTCPrefixScore


def random_log_probs(frames, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(frames, classes, generator=generator).mul(2).log_softmax(1)


def test_scores_are_sums_over_all_paths():
    log_probs = random_log_probs(5, 3)
    texts = [[], [1], [2], [1, 1], [1, 2], [2, 2, 2], [1, 2, 1, 2, 1, 2]]
    whole, prefix = [0.0] * len(texts), [0.0] * len(texts)
    for path in product(range(3), repeat=5):
        written = [label for label, _ in groupby(path) if label]
        p = float(log_probs[torch.arange(5), list(path)].exp().prod())
        for index, text in enumerate(texts):
            whole[index] += p * (written == text)
            prefix[index] += p * (written[: len(text)] == text)
    scores = ctc_scores(log_probs, texts)
    for found, wanted in zip(scores, (prefix, whole)):
        torch.testing.assert_close(
            torch.tensor(found).exp(), torch.tensor(wanted), atol=1e-7, rtol=1e-5
        )


def test_texts_alone_are_torchs_and_prefixes_are_espnets():
    log_probs = random_log_probs(40, 12, seed=1)
    generator = torch.Generator().manual_seed(2)
    texts = [
        torch.randint(1, 11, (n,), generator=generator).tolist() for n in (1, 4, 9, 15)
    ]
    prefixes, wholes = ctc_scores(log_probs, texts)
    for text, prefix, whole in zip(texts, prefixes, wholes):
        loss = torch.nn.functional.ctc_loss(
            *(log_probs[:, None], torch.tensor([text]), [40], [len(text)]),
            reduction="sum",
        )
        assert whole == pytest.approx(-float(loss), rel=1e-5)
        judge = CTCPrefixScore(log_probs.numpy(), 0, 11, np)
        state, written = judge.initial_state(), [11]
        for token in text:
            scores, states = judge(written, np.array([token]), state)
            state, written = states[0], [*written, token]
        assert prefix == pytest.approx(float(scores[0]), rel=1e-4)


def test_a_guide_scores_each_text_once():
    log_probs, spelled = random_log_probs(12, 4), []

    def spell(text):
        spelled.append(text)
        return ["abc".index(letter) + 1 for letter in text.replace(" ", "")]

    def write(tokens):
        return "".join(["a", "b ", "c"][token] for token in tokens)

    guide = CTCGuide(log_probs, write, spell, weight=0.5)
    found = guide.score([([], False), ([0, 1], False), ([0, 1], True), ([], True)])
    prefixes, wholes = ctc_scores(log_probs, [[1, 2], []])
    wanted = [0.0, 0.5 * prefixes[0], 0.5 * wholes[0], 0.5 * wholes[1]]
    assert found == pytest.approx(wanted)
    assert guide.score([([0, 1], False)]) == found[1:2] and len(spelled) == 3


class Fixed:
    """A guide that likes one token, and the end after four of them."""

    def __init__(self, liked, weight):
        self.liked, self.weight = liked, weight

    def score(self, hypotheses):
        return [
            self.weight * (tokens.count(self.liked) - 9 * (ended and len(tokens) < 4))
            for tokens, ended in hypotheses
        ]


def test_a_search_heeds_its_guides(tmp_path):
    model, _ = build(tmp_path, ctc_weight=0.0)
    model.eval()
    with torch.no_grad():
        frames, _ = model.encode(batch()["speech"], batch()["speech_lengths"])
    args = (model.decoder, list(frames), [2.0] * 3, model.sos, model.eos, 3)
    alone = generate(*args)
    assert generate(*args, guides=[Fixed(9, 0.0)] * 3)[0].tokens
    first = alone[0].tokens[0]
    guided = generate(*args, guides=[Fixed(first, 50.0)] * 3)
    assert guided[0].tokens.count(first) > alone[0].tokens.count(first)
    assert guided[0].score > alone[0].score


def test_a_student_of_letters_has_a_say(tmp_path):
    """Also of another case, in batches and alone, named among the files."""
    from espnet_lmkd.asr.decoding import Recogniser, SearchOptions
    from espnet_lmkd.asr.task import ASRKDTask

    model, args = build(tmp_path, ctc_weight=0.0)
    save(model, args, tmp_path / "exp")
    tokens = ["<blank>", "<unk>", "<space>", *"ACDEGHNORST", "<sos/eos>"]
    args.token_list, args.token_type, args.bpemodel = tokens, "char", None
    args.model_conf, args.decoder = {"ctc_weight": 1.0}, None
    args.decoder_conf = {}
    student = save(ASRKDTask.build_model(args), args, tmp_path / "student")
    files = [tmp_path / "exp" / name for name in ("config.yaml", "valid.acc.ave.pth")]
    options = dict(search="speech_prompt", beam_size=3)
    alone = Recogniser(*files, SearchOptions(**options))
    checkpoint = str(student / "valid.acc.ave.pth")
    with_student = SearchOptions(**options, student=checkpoint, student_weight=5.0)
    joint = Recogniser(*files, with_student)
    assert checkpoint in map(str, joint.files)
    assert joint.num_parameters > alone.num_parameters
    assert joint.student.spell("the cat") == [13, 8, 6, 2, 4, 3, 13]
    generator = torch.Generator().manual_seed(1)
    speeches = [torch.randn(n, SIZE, generator=generator).numpy() for n in (20, 9)]
    found = joint.recognise(speeches, [20 / 12.5, 9 / 12.5])
    for speech, (hypothesis,) in zip(speeches, found):
        assert joint(speech).token_ids == hypothesis.token_ids
        assert hypothesis.text != alone(speech).text
    config = tmp_path / "decode.yaml"
    config.write_text(yaml.safe_dump({"search": "beam", "student": checkpoint}))
    with pytest.raises(Exception, match="student is for search: speech_prompt only"):
        SearchOptions.from_yaml(config)
