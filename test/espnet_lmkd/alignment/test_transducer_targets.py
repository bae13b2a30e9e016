"""Judge: the whole lattice's softmax in float64, and the best of all paths by hand."""

import itertools

import pytest
import torch

from espnet_lmkd.alignment.transducer_targets import path_targets
from espnet_lmkd.errors import InputError

BLANK, CLASSES = 2, 6
FRAMES, LABELS = [4, 2, 1], [2, 3, 0]


class Joint(torch.nn.Module):
    """As ESPnet's."""

    def __init__(self):
        super().__init__()
        self.lin_enc, self.lin_dec = torch.nn.Linear(5, 8), torch.nn.Linear(3, 8)
        self.lin_out = torch.nn.Linear(8, CLASSES)

    def forward(self, encoder_out, predictor_out):
        hidden = torch.tanh(self.lin_enc(encoder_out) + self.lin_dec(predictor_out))
        return 3 * self.lin_out(hidden)


@pytest.fixture
def teacher():
    """Joint network, states, labels and lengths; padding holds rubbish."""
    torch.manual_seed(0)
    states = torch.randn(3, 5, 5), torch.randn(3, 4, 3)
    labels = torch.tensor([[1, 4, 99], [5, 5, 0], [-1, -1, 7]])
    return Joint(), *states, labels, torch.tensor(FRAMES), torch.tensor(LABELS)


def lattice_of(teacher):
    joint, encoder_out, predictor_out, *_ = teacher
    with torch.no_grad():
        logits = joint(encoder_out[:, :, None], predictor_out[:, None])
    return logits.double().log_softmax(-1)


def best_nodes(log_probs, labels):
    """The nodes of the likeliest of all paths, each written out."""
    frames, length = len(log_probs), len(labels)
    found = []
    for emissions in itertools.combinations_with_replacement(range(frames), length):
        nodes, score, u = [], 0.0, 0
        for t in range(frames):
            while u < length and emissions[u] == t:
                nodes.append([t, u])
                score += log_probs[t, u, labels[u]].item()
                u += 1
            nodes.append([t, u])
            score += log_probs[t, u, BLANK].item()
        found.append((score, nodes))
    return max(found)[1]


def test_the_best_path_and_the_likeliest_classes_along_it(teacher):
    path, lengths, ids, log_probs = path_targets(*teacher, BLANK, classes=3)
    assert lengths.tolist() == [t + u for t, u in zip(FRAMES, LABELS)]
    assert path.shape == (3, 6, 2) and ids.shape == log_probs.shape == (3, 6, 3)
    assert log_probs.dtype == torch.float32 and not log_probs.requires_grad
    for b, wanted in enumerate(lattice_of(teacher)):
        length = int(lengths[b])
        text = teacher[3][b, : LABELS[b]].tolist()
        nodes = best_nodes(wanted[: FRAMES[b]], text)
        assert path[b, :length].tolist() == nodes
        for n, (t, u) in enumerate(nodes):
            best = sorted(range(CLASSES), key=lambda k: -wanted[t, u, k])[:3]
            assert ids[b, n].tolist() == best
            torch.testing.assert_close(log_probs[b, n], wanted[t, u, best].float())
        assert path[b, length:].eq(-1).all() and ids[b, length:].eq(-1).all()
        assert log_probs[b, length:].eq(0).all()


def test_every_node_collapsed_to_the_blank_and_the_next_label(teacher):
    path, lengths, ids, log_probs = path_targets(
        *teacher, BLANK, nodes="lattice", classes="collapsed"
    )
    assert lengths.tolist() == [t * (u + 1) for t, u in zip(FRAMES, LABELS)]
    for b, wanted in enumerate(lattice_of(teacher)):
        nodes = list(itertools.product(range(FRAMES[b]), range(LABELS[b] + 1)))
        assert [tuple(node) for node in path[b, : len(nodes)].tolist()] == nodes
        assert path[b, len(nodes) :].eq(-1).all()
        for n, (t, u) in enumerate(nodes):
            label = int(teacher[3][b, u]) if u < LABELS[b] else -1
            assert ids[b, n].tolist() == [BLANK, label]
            given = [wanted[t, u, BLANK], wanted[t, u, label] if label >= 0 else 0.0]
            given = torch.tensor(given, dtype=log_probs.dtype)
            torch.testing.assert_close(log_probs[b, n], given)


def test_a_long_lattice_goes_in_pieces(teacher):
    joint, _, _, _, _, _ = teacher
    encoder_out, predictor_out = torch.randn(2, 900, 5), torch.randn(2, 4, 3)
    labels, sizes = torch.tensor([[1, 3, 4]] * 2), []
    joint.register_forward_hook(lambda _, __, out: sizes.append(out[..., 0].numel()))
    lengths = torch.tensor([900, 700]), torch.tensor([3, 2])
    _, _, ids, _ = path_targets(
        joint, encoder_out, predictor_out, labels, *lengths, BLANK, "lattice", 1
    )
    assert sum(sizes) == 2 * 900 * 4 and max(sizes) <= 2050
    with torch.no_grad():
        wanted = joint(encoder_out[:, :, None], predictor_out[:, None]).argmax(-1)
    assert torch.equal(ids[0, :, 0], wanted[0].flatten())
    assert torch.equal(ids[1, : 700 * 3, 0], wanted[1, :700, :3].flatten())


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(nodes="beam"), "unknown nodes 'beam'; choose one of .*'path'"),
        (dict(classes=7), "classes must be 1..6 or 'collapsed', not 7"),
        (dict(classes="three"), "not 'three'"),
    ],
)
def test_what_does_not_fit_is_named(teacher, options, message):
    with pytest.raises(InputError, match=message):
        path_targets(*teacher, BLANK, **options)
