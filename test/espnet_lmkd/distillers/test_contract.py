"""What every distiller promises, held against each file of the folder."""

import copy

import pytest
import torch
from random_batch import HIDDEN, STUDENT, make_batch

from espnet_lmkd.distillers import registry
from espnet_lmkd.distillers.weighted import WeightedDistiller
from espnet_lmkd.padded import Padded

DECODER = dict(attention_heads=2, linear_units=16, num_blocks=1)
# A new distiller adds its line (`<name>:<variant>` where one is not enough): options
# that exercise all its taps, dropout off; those under which an utterance without
# targets is worth nothing; taps read without a gradient; whether neighbours matter.
STILL = dict(DECODER, dropout_rate=0.0, positional_dropout_rate=0.0)
STILL.update(self_attention_dropout_rate=0.0, src_attention_dropout_rate=0.0)
CASES = {
    "interaed": dict(
        conf=dict(layers=[2], decoder_conf=STILL), teacher_only=dict(kd_weight=1.0)
    ),
    "interaed:guided": dict(
        conf=dict(guide_weight=0.5, decoder_conf=STILL),
        no_gradient={"ctc_logits"},
        teacher_only=dict(kd_weight=1.0, guide_weight=0.0),
    ),
    "interaed_wordpiece": dict(
        conf=dict(vocab_size=12, sos=0, eos=1, layers=[2], decoder_conf=STILL)
    ),
    "lm_embedding:decoder": dict(conf=dict(target_size=HIDDEN)),
    "lm_embedding:ctc": dict(
        conf=dict(target_size=HIDDEN, source="ctc"), no_gradient={"ctc_logits"}
    ),
    "lm_embedding:predictor": dict(conf=dict(target_size=HIDDEN, source="predictor")),
    "lm_embedding_transducer:posterior": dict(
        conf=dict(target_size=HIDDEN), no_gradient={"blank_scores", "label_scores"}
    ),
    "lm_embedding_transducer:expectation": dict(
        conf=dict(target_size=HIDDEN, variant="expectation", distance="cos")
    ),
    "lm_embedding_transducer:joint": dict(
        conf=dict(target_size=HIDDEN, variant="joint", distance="l1", scale=0.3)
    ),
    "ctc_soft_label": dict(conf={}),
    "acoustic_contrastive": dict(
        conf=dict(target_size=HIDDEN, num_negatives=None), knows_neighbours=True
    ),
    "attention_alignment": dict(conf=dict(radius=1)),
    "cif_alignment": dict(conf={}),
    "one_best_path": dict(conf={}),
    "one_best_path:delay": dict(conf=dict(delay=2)),
}


def build(name, **extra):
    torch.manual_seed(0)
    conf = {**CASES[name]["conf"], **extra}
    return registry.build(name.partition(":")[0], STUDENT, conf)


def changed(mapping, change):
    """Change what is `Padded`; a module stays."""
    return {
        name: change(value) if isinstance(value, Padded) else value
        for name, value in mapping.items()
    }


def float_data(mapping):
    tensors = {n: p.data for n, p in mapping.items() if isinstance(p, Padded)}
    return {n: data for n, data in tensors.items() if data.is_floating_point()}


def learned(padded):
    """Taps that are results of parameters, as a student's are."""
    if not padded.data.is_floating_point():
        return padded
    return Padded(padded.data.clone().requires_grad_(), padded.lengths)


def grown(padded):
    """Five more columns of rubbish: it must not matter what padding holds."""
    extra = torch.full_like(padded.data[:, :1], 7).repeat_interleave(5, dim=1)
    return Padded(torch.cat([padded.data, extra], dim=1), padded.lengths)


def row(padded, index):
    return Padded(padded.data[index], padded.lengths[index])


def test_every_distiller_of_the_folder_has_a_case():
    assert {name.partition(":")[0] for name in CASES} == set(registry.names())


@pytest.fixture(params=sorted(CASES))
def name(request):
    return request.param


def test_loss_is_finite_float32_one_value_an_utterance(name):
    distiller = build(name)
    loss, stats = distiller(*make_batch(distiller))
    assert loss.shape == (3,) and loss.dtype == torch.float32
    assert loss.isfinite().all()
    assert all(value.dim() == 0 for value in stats.values())


def test_padding_is_never_read(name):
    distiller = build(name)
    student, teacher = make_batch(distiller)
    expected, _ = distiller(student, teacher)
    got, _ = distiller(changed(student, grown), changed(teacher, grown))
    torch.testing.assert_close(got, expected)


def test_the_padding_test_can_fail(name, monkeypatch):
    distiller = build(name)
    student, teacher = make_batch(distiller)
    expected, _ = distiller(student, teacher)
    everything = property(lambda self: torch.ones(self.data.shape[:2]).bool())
    monkeypatch.setattr(Padded, "mask", everything)
    got, _ = distiller(changed(student, grown), changed(teacher, grown))
    assert not torch.allclose(got, expected)


def test_order_and_neighbours_do_not_matter(name):
    distiller = build(name)
    student, teacher = make_batch(distiller)
    expected, _ = distiller(student, teacher)
    order = torch.tensor([2, 0, 1])
    got, _ = distiller(
        *(changed(part, lambda p: row(p, order)) for part in (student, teacher))
    )
    torch.testing.assert_close(got, expected[order])
    if CASES[name].get("knows_neighbours"):  # and says so
        return
    for index in range(3):
        alone = [
            changed(part, lambda p: row(p, slice(index, index + 1)))
            for part in (student, teacher)
        ]
        torch.testing.assert_close(distiller(*alone)[0], expected[index : index + 1])


def test_without_targets_the_teacher_is_worth_nothing_but_keeps_the_graph(name):
    distiller = build(name, **CASES[name].get("teacher_only", {}))
    if not distiller.targets:
        pytest.skip("the student is its own teacher")
    student, teacher = make_batch(distiller, with_targets=False)
    student = changed(student, learned)
    loss, _ = distiller(student, teacher)
    assert loss.tolist() == [0.0, 0.0, 0.0]
    loss.sum().backward()
    unread = CASES[name].get("no_gradient", set())
    taps = float_data(student)
    assert all(taps[n].grad is None for n in unread & taps.keys())
    gradients = [data.grad for n, data in taps.items() if n not in unread]
    gradients += [parameter.grad for parameter in distiller.parameters()]
    assert all(g is not None and not g.any() for g in gradients)


def test_texts_without_a_token_are_worth_nothing(name):
    """All texts of a rank may be empty, and it must take part in the next step."""
    distiller = build(name)
    student, teacher = make_batch(distiller, text=[0, 0, 0])
    student = changed(student, learned)
    loss, _ = distiller(student, teacher)
    assert loss.isfinite().all()
    loss.sum().backward()


def test_no_gradient_reaches_the_teacher(name):
    distiller = build(name)
    student, teacher = make_batch(distiller)
    floats = list(float_data(teacher).values())
    for data in floats:
        data.requires_grad_()
    distiller(changed(student, learned), teacher)[0].sum().backward()
    assert all(data.grad is None for data in floats)


def test_parameters_are_in_the_state_dict(name):
    distiller = build(name)
    assert set(dict(distiller.named_parameters())) <= set(distiller.state_dict())


def test_mixed_precision_gives_a_float32_loss(name):
    distiller = build(name)
    student, teacher = make_batch(distiller)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = distiller(student, teacher)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(
        loss, distiller(student, teacher)[0], rtol=0.05, atol=0.05
    )


def test_loss_falls_on_one_batch(name):
    distiller = build(name)
    student, teacher = make_batch(distiller)
    student = changed(student, learned)
    parameters = [*float_data(student).values(), *distiller.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.03)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = distiller(student, teacher)[0].sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


class Recorder(dict):
    """A mapping that remembers what was read."""

    def __init__(self, mapping):
        super().__init__(mapping)
        self.read = set()

    def __getitem__(self, key):
        self.read.add(key)
        return super().__getitem__(key)


def test_declared_taps_and_targets_are_those_read(name):
    distiller = build(name)
    student, teacher = map(Recorder, make_batch(distiller))
    distiller(student, teacher)
    assert student.read == set(distiller.taps)
    assert teacher.read == set(distiller.targets)


def test_a_copy_trains_alike(name):
    distiller, twin = build(name), build(name)
    twin.load_state_dict(copy.deepcopy(distiller.state_dict()))
    batch = make_batch(distiller)
    torch.testing.assert_close(twin(*batch)[0], distiller(*batch)[0])


def test_weight_of_an_entry_without_one():
    default = registry.get_class("ctc_soft_label").default_weight
    assert WeightedDistiller(STUDENT, "ctc_soft_label").weight() == default != 1
    assert WeightedDistiller(STUDENT, "ctc_soft_label", weight=2).weight() == 2
    assert WeightedDistiller(STUDENT, "interaed").weight() == 1
