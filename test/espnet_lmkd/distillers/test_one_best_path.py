"""Judge: the paper's sum written as a loop over nodes, with torch.distributions."""

import pytest
import torch

from espnet_lmkd.alignment.transducer_targets import path_targets
from espnet_lmkd.distillers import one_best_path
from espnet_lmkd.distillers.abs_distiller import StudentSpec
from espnet_lmkd.distillers.one_best_path import OneBestPathDistiller
from espnet_lmkd.errors import InputError
from espnet_lmkd.padded import Padded

CLASSES, BLANK = 7, 0
FRAMES, LABELS = torch.tensor([6, 4, 5]), torch.tensor([2, 3, 0])
STUDENT = StudentSpec(CLASSES, encoder_size=4, num_layers=2, sos=6, eos=6)


class Transducer:
    """Random states and a joint network that counts its nodes."""

    def __init__(self, seed):
        torch.manual_seed(seed)
        self.encoder_out = torch.randn(3, 6, 4).requires_grad_()
        self.predictor_out = torch.randn(3, 4, 5).requires_grad_()
        self.layer = torch.nn.Linear(9, CLASSES)
        self.nodes = []

    def joint(self, encoder_out, predictor_out):
        encoder_out = torch.nn.functional.pad(encoder_out, (0, 5))
        predictor_out = torch.nn.functional.pad(predictor_out, (4, 0))
        logits = 3 * self.layer(torch.tanh(encoder_out + predictor_out))
        self.nodes.append(logits[..., 0].numel())
        return logits

    def lattice(self):
        return self.joint(self.encoder_out[:, :, None], self.predictor_out[:, None])

    def taps(self):
        return {
            "encoder_out": Padded(self.encoder_out, FRAMES),
            "predictor_out": Padded(self.predictor_out, LABELS + 1),
            "joint_network": self.joint,
        }


def make(nodes="path", classes=3):
    """A student, its teacher, and what the teacher says."""
    student, teacher = Transducer(0), Transducer(1)
    labels = torch.tensor([[1, 2, -1], [3, 3, 4], [-1, -1, -1]])
    states = (teacher.encoder_out, teacher.predictor_out)
    path, lengths, *found = path_targets(
        teacher.joint, *states, labels, FRAMES, LABELS, BLANK, nodes, classes
    )
    names = OneBestPathDistiller.targets
    targets = {n: Padded(x, lengths) for n, x in zip(names, (path, *found))}
    return student, teacher, targets


def formula(student, teacher, targets, delay=0):
    """Sum of the divergences (B,) and the nodes (b, t, u) that count."""
    p = student.lattice().double().softmax(-1)
    q = teacher.lattice().double().softmax(-1).detach()
    losses, counted = [p.sum() * 0] * 3, []
    path, ids, _ = targets.values()
    for b in range(3):
        for n in range(int(path.lengths[b])):
            t, u = path.data[b, n].tolist()
            if t + delay >= FRAMES[b]:
                continue
            kept = [k for k in ids.data[b, n].tolist() if k >= 0]
            rest = [k for k in range(CLASSES) if k not in kept]
            pair = [
                torch.distributions.Categorical(
                    torch.cat([probs[kept], probs[rest].sum(0, keepdim=True)])
                )
                for probs in (q[b, t, u], p[b, t + delay, u])
            ]
            losses[b] = losses[b] + torch.distributions.kl_divergence(*pair)
            counted.append((b, t, u))
    return torch.stack(losses).float(), counted


@pytest.mark.parametrize(
    "options",
    [
        dict(classes=2),
        dict(classes=CLASSES - 1),
        dict(nodes="lattice", classes=CLASSES - 1),
        dict(nodes="lattice", classes="collapsed"),
    ],
)
@pytest.mark.parametrize("delay", [0, 1, 5])
def test_against_the_formula(options, delay):
    student, teacher, targets = make(**options)
    wanted, counted = formula(student, teacher, targets, delay)
    distiller = OneBestPathDistiller(STUDENT, delay=delay)
    loss, stats = distiller(student.taps(), targets)
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-5)
    leaves = (student.encoder_out, student.predictor_out, student.layer.weight)
    for got, expected in zip(
        torch.autograd.grad(loss.sum(), leaves, retain_graph=True),
        torch.autograd.grad(wanted.sum(), leaves),
    ):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    given = int(targets["teacher_path"].lengths.sum())
    torch.testing.assert_close(stats["kl"], wanted.sum() / len(counted))
    assert stats["nodes_dropped"].item() == pytest.approx(1 - len(counted) / given)
    best_p, best_q = student.lattice().argmax(-1), teacher.lattice().argmax(-1)
    if options["classes"] != "collapsed":  # then the teacher's best class is known
        same = [bool(best_p[b, t + delay, u] == best_q[b, t, u]) for b, t, u in counted]
        assert stats["agreement"].item() == pytest.approx(sum(same) / len(same))


def test_all_classes_are_the_papers_whole_distribution():
    student, teacher, targets = make(classes=CLASSES)
    path = targets["teacher_path"].data
    wanted = torch.zeros(3)
    p, q = student.lattice(), teacher.lattice()
    for b in range(3):
        for t, u in path[b, : int(FRAMES[b] + LABELS[b])].tolist():
            pair = (torch.distributions.Categorical(logits=x[b, t, u]) for x in (q, p))
            wanted[b] += torch.distributions.kl_divergence(*pair).detach()
    loss, _ = OneBestPathDistiller(STUDENT)(student.taps(), targets)
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-5)


def test_a_student_like_its_teacher_costs_nothing():
    _, teacher, targets = make(classes=3)
    loss, stats = OneBestPathDistiller(STUDENT)(teacher.taps(), targets)
    torch.testing.assert_close(loss, torch.zeros(3), rtol=0, atol=1e-5)
    assert stats["agreement"] == 1 and stats["nodes_dropped"] == 0


def test_the_joint_network_sees_the_nodes_and_no_lattice():
    student, _, targets = make()
    OneBestPathDistiller(STUDENT)(student.taps(), targets)
    assert student.nodes == [3 * int((FRAMES + LABELS).max())]


def test_many_nodes_go_in_pieces_to_the_same_result(monkeypatch):
    student, _, targets = make(nodes="lattice", classes=3)
    leaves = (student.encoder_out, student.predictor_out, student.layer.weight)
    results = []
    for at_once in (2**14, 9):
        monkeypatch.setattr(one_best_path, "AT_ONCE", at_once)
        student.nodes.clear()
        loss, stats = OneBestPathDistiller(STUDENT)(student.taps(), targets)
        results.append(
            [loss, *stats.values(), *torch.autograd.grad(loss.sum(), leaves)]
        )
    assert max(student.nodes) == 3 * 4 and len(student.nodes) == 2 * 5
    for whole, pieces in zip(*results):
        torch.testing.assert_close(whole, pieces)


def test_frames_that_the_student_lacks_and_missing_targets_are_left_out():
    student, teacher, targets = make()
    expected, _ = formula(student, teacher, targets)
    taps = student.taps()
    taps["encoder_out"] = Padded(student.encoder_out, FRAMES - torch.tensor([0, 1, 0]))
    lengths = (FRAMES + LABELS) * torch.tensor([0, 1, 1])
    targets = {n: Padded(x.data[:, :7], lengths) for n, x in targets.items()}
    loss, stats = OneBestPathDistiller(STUDENT)(taps, targets)
    assert loss[0] == 0 and loss[1] < expected[1]
    torch.testing.assert_close(loss[2], expected[2])
    assert stats["without_targets"] == 1
    last = targets["teacher_path"].data[1, :7, 0] == 3
    assert stats["nodes_dropped"].item() == pytest.approx(last.sum().item() / 12)


def test_a_negative_delay_is_refused():
    with pytest.raises(InputError, match="delay must be 0 or more, not -1"):
        OneBestPathDistiller(STUDENT, delay=-1)
