import numpy as np
import pytest
import torch

from espnet_lmkd.errors import InputError
from espnet_lmkd.teachers.masked_lm import MaskedLMTeacher
from espnet_lmkd.teachers.pretrained import weights_sha256

ARCHITECTURES = ("bert", "roberta", "distilbert", "modernbert")
SENTENCES = [[2, 3], [4], [5, 6, 2, 1, 9, 13], [7, 7, 7], [2, 3, 4, 5, 6, 7, 8, 9, 10]]
SPECIAL = (0, 1, 14)


def plain_log_probs(teacher, sentence, position, temperature):
    """One sentence, one mask, a full softmax over the allowed ids in float64."""
    ids = [14, *sentence, 14]
    ids[position + 1] = 15
    with torch.no_grad():
        logits = teacher.model(input_ids=torch.tensor([ids])).logits[0, position + 1]
    scores = {v: logits[v].item() / temperature for v in range(15) if v not in SPECIAL}
    norm = np.log(sum(np.exp(score) for score in scores.values()))
    return {v: score - norm for v, score in scores.items()}


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_topk_against_a_plain_loop(make_teacher, model_type, temperature):
    teacher = make_teacher(model_type, batch_tokens=50)
    results = teacher.topk_log_probs(SENTENCES, 4, temperature)
    for sentence, result in zip(SENTENCES, results, strict=True):
        assert result["teacher_topk_ids"].shape == (len(sentence), 4)
        for position in range(len(sentence)):
            plain = plain_log_probs(teacher, sentence, position, temperature)
            best = sorted(plain, key=plain.get, reverse=True)[:4]
            ids = result["teacher_topk_ids"][position]
            log_probs = result["teacher_topk_log_probs"][position]
            assert ids.tolist() == best
            np.testing.assert_allclose(log_probs, [plain[v] for v in best], atol=2e-5)
            rest = np.logaddexp.reduce([p for v, p in plain.items() if v not in best])
            np.testing.assert_allclose(1 - np.exp(log_probs).sum(), np.exp(rest), 1e-4)


def test_the_head_sees_one_position(make_teacher):
    teacher = make_teacher()
    seen = []
    head = teacher.model.get_output_embeddings()
    head.register_forward_hook(lambda module, args, out: seen.append(out.shape[:2]))
    list(teacher.topk_log_probs(SENTENCES, 2))
    assert sum(rows for rows, _ in seen) == sum(map(len, SENTENCES))
    assert {positions for _, positions in seen} == {1}
    assert not teacher.model.base_model._forward_hooks


def test_score_against_a_plain_loop(make_teacher):
    teacher = make_teacher()
    correct, losses = [], []
    for sentence in SENTENCES:
        for position, truth in enumerate(sentence):
            plain = plain_log_probs(teacher, sentence, position, 1.0)
            if truth in plain:
                correct.append(max(plain, key=plain.get) == truth)
                losses.append(-plain[truth])
    accuracy, loss = teacher.score(SENTENCES)
    assert accuracy == pytest.approx(np.mean(correct))
    assert loss == pytest.approx(np.mean(losses), abs=1e-5)


@pytest.mark.parametrize(
    "model_type, most",
    [("bert", 22), ("roberta", 22), ("distilbert", 22), ("modernbert", 22)],
)
def test_longest_sentence_works(make_teacher, model_type, most):
    teacher = make_teacher(model_type)
    assert teacher.max_tokens == most
    (result,) = teacher.topk_log_probs([[2] * most], 2)
    assert np.isfinite(result["teacher_topk_log_probs"]).all()


def test_bad_arguments(make_teacher):
    teacher = make_teacher()
    assert next(teacher.topk_log_probs(SENTENCES, 12))["teacher_topk_ids"].shape == (
        2,
        12,
    )
    with pytest.raises(InputError, match="--top_k 13: the vocabulary has 12 tokens"):
        next(teacher.topk_log_probs(SENTENCES, 13))


def test_another_vocabulary(make_teacher, tokens):
    teacher = make_teacher()
    for other in ([*tokens[:5], "x", *tokens[6:]], [*tokens, "x", "y"]):
        with pytest.raises(InputError, match="belongs to another tokenizer"):
            MaskedLMTeacher(teacher.model, teacher.tokenizer, other, device="cpu")


def test_loads_its_folder(make_teacher, teacher_folder, tokens):
    loaded = MaskedLMTeacher.from_pretrained(teacher_folder, tokens, device="cpu")
    original = make_teacher()
    assert weights_sha256(loaded.model) == weights_sha256(original.model)
    half = MaskedLMTeacher.from_pretrained(
        teacher_folder, tokens, dtype="bfloat16", device="cpu"
    )
    assert weights_sha256(half.model) != weights_sha256(original.model)
    for ours, theirs in zip(
        half.topk_log_probs(SENTENCES, 12), original.topk_log_probs(SENTENCES, 12)
    ):
        ours = np.sort(ours["teacher_topk_log_probs"])
        theirs = np.sort(theirs["teacher_topk_log_probs"])
        np.testing.assert_allclose(ours, theirs, atol=0.3)
