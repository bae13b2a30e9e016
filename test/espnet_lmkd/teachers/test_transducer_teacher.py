"""Judge: the whole lattice of one utterance at a time, and Viterbi in a plain loop."""

import numpy as np
import pytest
import torch
from tiny_transducer import SIZE, TEXTS, TOKENS, save_experiment

from espnet_lmkd.errors import InputError
from espnet_lmkd.teachers.transducer import TransducerTeacher


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return save_experiment(tmp_path_factory.mktemp("exp") / "teacher")


def load(model_file, token_list=TOKENS, classes=8):
    config = model_file.with_name("config.yaml")
    return TransducerTeacher(config, model_file, token_list, classes, "cpu")


def make_batch():
    generator = np.random.default_rng(1)
    batch = []
    for frames, text in zip((7, 4, 9), TEXTS.values()):
        features = generator.normal(size=(frames, SIZE)).astype(np.float32)
        batch.append((features, [TOKENS.index(word) for word in text.split()]))
    return batch


def lattice_of(model, features, ids):
    """Log-probabilities (T, U, V) from ESPnet's own modules."""
    with torch.no_grad():
        states, lengths = model.encode(
            torch.from_numpy(features)[None], torch.tensor([len(features)])
        )
        assert lengths.tolist() == [len(features)]
        predicted = model.decoder(torch.tensor([[0, *ids]]))
        logits = model.joint_network(states[:, :, None], predicted[:, None])
    return logits[0].double().log_softmax(-1).numpy()


def viterbi(lattice, ids):
    frames, length = len(lattice), len(ids)
    best = np.full((frames, length + 1), -np.inf)
    best[0, 0], before = 0.0, {}
    for t in range(frames):
        for u in range(length + 1):
            if t and best[t - 1, u] + lattice[t - 1, u, 0] > best[t, u]:
                best[t, u] = best[t - 1, u] + lattice[t - 1, u, 0]
                before[t, u] = (t - 1, u)
            if u and best[t, u - 1] + lattice[t, u - 1, ids[u - 1]] > best[t, u]:
                best[t, u] = best[t, u - 1] + lattice[t, u - 1, ids[u - 1]]
                before[t, u] = (t, u - 1)
    path = [(frames - 1, length)]
    while path[-1] in before:
        path.append(before[path[-1]])
    return path[::-1]


@pytest.mark.parametrize("classes", [3, "collapsed"])
def test_against_plain_loops(model_file, classes):
    teacher = load(model_file, classes=classes)
    batch = make_batch()
    found = teacher.path_topk(batch)
    assert len(found) == len(batch)
    different_paths = set()
    for (features, ids), arrays in zip(batch, found):
        lattice = lattice_of(teacher.model, features, ids)
        path = viterbi(lattice, ids)
        different_paths.add(tuple(u for _, u in path))
        assert arrays["teacher_path"].tolist() == [list(node) for node in path]
        for (t, u), chosen, log_probs in zip(
            path,
            arrays["teacher_path_topk_ids"],
            arrays["teacher_path_topk_log_probs"],
            strict=True,
        ):
            wanted = np.argsort(-lattice[t, u])[:3].tolist()
            if classes == "collapsed":
                wanted = [0, ids[u] if u < len(ids) else -1]
            assert chosen.tolist() == wanted
            for k, value in zip(wanted, log_probs):
                exact = lattice[t, u, k] if k >= 0 else 0.0
                assert value == pytest.approx(exact, rel=1e-4, abs=1e-5)
    assert len(different_paths) == len(batch)


def test_frames(model_file):
    assert load(model_file).num_frames(np.zeros((7, SIZE), np.float32)) == 7


@pytest.mark.parametrize("encoder", ["transformer", "contextual_block_transformer"])
def test_too_short_for_the_convolutions(tmp_path, encoder):
    conv = dict(output_size=8, attention_heads=2, linear_units=8, num_blocks=1)
    teacher = load(
        save_experiment(
            tmp_path / "teacher",
            input_size=None,
            frontend="default",
            encoder=encoder,
            encoder_conf=dict(conv, input_layer="conv2d"),
        )
    )
    assert teacher.num_frames(np.zeros(300, np.float32)) == 0
    assert teacher.num_frames(np.zeros(600, np.float32)) == 0
    # 126 frames of 8 ms: 62 windows of three, every other one, then 30.
    assert teacher.num_frames(np.zeros(16000, np.float32)) == 30
    with pytest.raises(InputError, match="trained on speech, but features of 6 values"):
        teacher.num_frames(np.zeros((50, SIZE), np.float32))


def test_features_are_told_from_speech(model_file):
    with pytest.raises(InputError, match="on features of 6 values, but speech came"):
        load(model_file).num_frames(np.zeros(16000, np.float32))


def test_refuses_what_does_not_fit(model_file, tmp_path):
    with pytest.raises(InputError, match="nothing.pth: no such file; train"):
        load(model_file.with_name("nothing.pth"))
    with pytest.raises(InputError, match="tokens that are not the student's"):
        load(model_file, [*TOKENS[:2], "b", "a", *TOKENS[4:]])
    ctc = save_experiment(
        tmp_path / "ctc", decoder=None, model_conf=dict(ctc_weight=1.0)
    )
    with pytest.raises(InputError, match="is no transducer"):
        load(ctc)
    torch.save({}, model_file.with_name("empty.pth"))
    with pytest.raises(InputError, match="not a checkpoint of this configuration"):
        load(model_file.with_name("empty.pth"))
