"""A live teacher says what a stock ESPnet model says, and leaves no trace."""

import copy

import pytest
import torch
import yaml
from tiny_student import TOKENS

from espnet_lmkd.errors import InputError


@pytest.fixture(scope="module")
def teacher(build_model, tmp_path_factory):
    """Options of a live teacher, and the model that its files hold."""
    from espnet2.utils.yaml_no_alias_safe_dump import yaml_no_alias_safe_dump

    folder = tmp_path_factory.mktemp("teacher")
    model = build_model("espnet", seed=7, decoder="transducer", ctc_weight=0.0)
    args = copy.deepcopy(build_model.last_args)
    args.specaug, args.specaug_conf = "specaug", dict(time_mask_width_range=20)
    torch.save(model.state_dict(), folder / "model.pth")
    (folder / "config.yaml").write_text(yaml_no_alias_safe_dump(vars(args)))
    files = (str(folder / name) for name in ("config.yaml", "model.pth"))
    return dict(zip(("asr_train_config", "asr_model_file"), files)), model.eval()


def make(build_model, teacher, **options):
    return build_model(
        decoder="transducer",
        distillers=[dict(type="one_best_path")],
        live_teacher={**teacher[0], **options},
    )


def inputs(batch):
    return {k: v for k, v in batch.items() if not k.startswith("teacher")}


@pytest.mark.parametrize("nodes, classes", [("path", 4), ("lattice", "collapsed")])
def test_what_it_says_is_the_stock_models(build_model, teacher, batch, nodes, classes):
    student = make(build_model, teacher, nodes=nodes, classes=classes)
    state = torch.get_rng_state()
    arguments = [batch[name] for name in ("speech", "speech_lengths", "text")]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        given = student.live_teacher(*arguments, student.token_list)
    assert torch.equal(torch.get_rng_state(), state)
    model = teacher[1]
    with torch.no_grad():
        states, frames = model.encode(batch["speech"], batch["speech_lengths"])
        labels = torch.nn.functional.pad(batch["text"].clamp(min=0), (1, 0))
        logits = model.joint_network(states[:, :, None], model.decoder(labels)[:, None])
    path, ids, log_probs = given.values()
    assert log_probs.data.dtype == torch.float32
    for b, (t, u) in enumerate(zip(frames, batch["text_lengths"])):
        count = int(t + u if nodes == "path" else t * (u + 1))
        assert {int(part.lengths[b]) for part in given.values()} == {count}
        assert path.data[b, count - 1].tolist() == [t - 1, u]
        at = path.data[b, :count].unbind(1)
        wanted = logits[b][at].log_softmax(-1)
        valid = ids.data[b, :count] >= 0
        picked = wanted.gather(1, ids.data[b, :count].clamp(min=0))
        torch.testing.assert_close(log_probs.data[b, :count][valid], picked[valid])


def test_the_students_features_stay_as_they_are(build_model, teacher, batch, tmp_path):
    """ESPnet normalises in place what it is given."""
    config = yaml.safe_load(open(teacher[0]["asr_train_config"]))
    config["normalize"], config["normalize_conf"] = "utterance_mvn", {}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    options = {**teacher[0], "asr_train_config": str(tmp_path / "config.yaml")}
    student = make(build_model, (options,))
    arguments = [batch[name] for name in ("speech", "speech_lengths", "text")]
    before = batch["speech"].clone()
    student.live_teacher(*arguments, student.token_list)
    assert torch.equal(batch["speech"], before)


def test_what_the_teacher_was_not_trained_on_is_refused(build_model, teacher, batch):
    student = make(build_model, teacher)
    arguments = [batch[name] for name in ("speech", "speech_lengths", "text")]
    with pytest.raises(InputError, match="teacher: .* 10 values, but features of 9"):
        student.live_teacher(
            batch["speech"][..., 1:], *arguments[1:], student.token_list
        )


def test_it_leaves_no_trace_in_the_student(build_model, teacher, batch):
    student = make(build_model, teacher)
    before = list(student.state_dict()), sum(1 for _ in student.modules())
    loss, stats, _ = student(**inputs(copy.deepcopy(batch)))
    loss.sum().backward()
    assert stats["loss_one_best_path"] > 0
    assert (list(student.state_dict()), sum(1 for _ in student.modules())) == before
    kept = student.live_teacher.model
    assert not kept.training
    assert all(parameter.grad is None for parameter in kept.parameters())
    # Validation costs no teacher, and its loss is the student's own.
    student.live_teacher = None
    assert "loss_one_best_path" not in student.eval()(**inputs(batch))[1]


def test_targets_that_are_given_are_used(build_model, teacher, batch):
    student = make(build_model, teacher).eval()
    arguments = [batch[name] for name in ("speech", "speech_lengths", "text")]
    given = student.live_teacher(*arguments, student.token_list)
    for name, target in given.items():
        batch[name], batch[f"{name}_lengths"] = target.data, target.lengths
    student.live_teacher = None
    stored = student(**copy.deepcopy(batch))[1]
    live = make(build_model, teacher).train()
    for module in live.modules():  # training, but without dropout
        module.training = module is live
    torch.testing.assert_close(
        live(**inputs(batch))[1]["loss_one_best_path"], stored["loss_one_best_path"]
    )


def test_the_trained_student_loads_without_its_teacher(build_model, teacher):
    make(build_model, ({name: "gone" for name in teacher[0]}, None))


def test_what_cannot_teach_is_refused(build_model, teacher, tmp_path):
    from espnet_lmkd.asr.live_teacher import LiveTeacher

    config = yaml.safe_load(open(teacher[0]["asr_train_config"]))
    for change, message in (
        (dict(decoder="transformer"), "is no transducer .decoder: transformer."),
        (dict(token_list=TOKENS[::-1]), "11 tokens that are not the student's 11"),
    ):
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump({**config, **change}))
        files = dict(teacher[0], asr_train_config=path)
        with pytest.raises(InputError, match=message):
            LiveTeacher(**files).check(TOKENS)
    with pytest.raises(InputError, match="nothing.pth: no such file"):
        LiveTeacher(**dict(teacher[0], asr_model_file="nothing.pth")).check(TOKENS)
    with pytest.raises(InputError, match="nodes is one of .* not 'beam'"):
        make(build_model, teacher, nodes="beam")
    with pytest.raises(InputError, match="classes is a number or 'collapsed'"):
        make(build_model, teacher, classes="three")
