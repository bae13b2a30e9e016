"""Running a transducer over audio and storing what it says on its paths (stage 7)."""

from pathlib import Path

from espnet_lmkd.alignment.transducer_targets import COLLAPSED
from espnet_lmkd.asr.inputs import read_inputs
from espnet_lmkd.data.audio import open_audio
from espnet_lmkd.data.directory import validate
from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.frame_plan import make_frame_plan
from espnet_lmkd.teachers.batches import batches_of, default_batch_tokens
from espnet_lmkd.teachers.pretrained import weights_sha256


def plan_path_topk(teacher, student, data_dir, teacher_inputs=(), **conf):
    """Settle the extraction of the most probable classes along the teacher's paths.

    The longest utterance and the shortest ones are tried at once: they show the frame
    rate, whether memory suffices, and what is too short for the encoder.

    Args:
        teacher: `TransducerTeacher` of the student's tokens.
        student: `StudentTokenizer`.
        data_dir: What the student trains on: ``text`` and ``wav.scp``, or ``feats.scp``
            of dumped features.
        teacher_inputs: Data directories that hold what the teacher hears of these
            utterances, where that is something else; a student of filterbanks can
            learn from a teacher on the features of a frozen encoder.
        conf: ``drop_too_long`` and ``shard_size`` of `make_frame_plan`.

    Returns:
        The `Plan`, and the function that `write_shards` wants.

    Raises:
        InputError: If an utterance does not suit the teacher.
    """
    texts, files, seconds = _read_directory(data_dir)
    student_files = None  # the same
    if teacher_inputs:
        student_files = files
        files, seconds = _inputs_of(texts, teacher_inputs)

    def read(utterance):
        return teacher.hearing.read(utterance, files[utterance])

    unsuitable = {}
    by_length = sorted(files, key=lambda utterance: (seconds[utterance], utterance))
    for utterance in by_length:
        if teacher.num_frames(read(utterance)) > 0:
            break
        unsuitable[utterance] = f"{seconds[utterance]:.3f} s, too short for the teacher"
    rate = 0.0
    if len(unsuitable) < len(files):
        rate = teacher.num_frames(read(by_length[-1])) / seconds[by_length[-1]]

    collapsed = teacher.classes == COLLAPSED
    top_k = 2 if collapsed else teacher.classes
    header = {
        "side": "frame",
        "teacher": {
            "id": "/".join(teacher.checkpoint.parts[-2:]),
            "revision": None,
            "class": type(teacher.model.encoder).__name__,
            "dtype": "float32",
            "weights_sha256": weights_sha256(teacher.model),
        },
        "top_k": top_k,
        "classes": COLLAPSED if collapsed else "top_k",
        "frames_per_second": round(rate, 2),
        "tokenizer": student.record(),
        "shuffled_seed": None,
    }
    dims = {
        "teacher_path": 2,
        "teacher_path_topk_ids": top_k,
        "teacher_path_topk_log_probs": top_k,
    }
    plan = make_frame_plan(
        texts,
        files,
        seconds,
        student,
        header,
        dims,
        rate,
        unsuitable,
        student_files,
        **conf,
    )

    def compute(sources):
        lengths = [seconds[utterance] * rate for utterance, _, _ in sources]
        # Frames stand for tokens: a batch of as many costs about as much.
        most = default_batch_tokens(teacher.device)
        for batch in batches_of(sources, lengths, most):
            pairs = [(read(utterance), ids) for utterance, _, ids in batch]
            yield from teacher.path_topk(pairs)

    return plan, compute


def _read_directory(data_dir):
    """Return text, file and seconds of each utterance."""
    files, seconds = read_inputs(data_dir)
    texts = validate(data_dir, ("feats.scp" if seconds else "wav.scp", "text"))["text"]
    return texts, files, _seconds(files, seconds)


def _inputs_of(texts, teacher_inputs):
    """Return file and seconds of what the teacher hears of each of these utterances."""
    files, seconds = {}, {}
    for data_dir in teacher_inputs:
        if not any(Path(data_dir, x).is_file() for x in ("feats.scp", "wav.scp")):
            raise InputError(
                f"--teacher_inputs {data_dir}: feats.scp or wav.scp was wanted there;"
                " run stage 3 with the teacher's --speech_encoder"
            )
        its_files, its_seconds = read_inputs(data_dir)
        files.update(its_files)
        seconds.update(its_seconds)
    lacking = sorted(texts.keys() - files.keys())
    if lacking:
        directories = ", ".join(map(str, teacher_inputs))
        raise InputError(
            f"utterance {lacking[0]!r} is in none of {directories}"
            f" ({len(lacking)} such); run stage 3 with the teacher's --speech_encoder"
        )
    files = {utterance: files[utterance] for utterance in texts}
    return files, _seconds(files, seconds)


def _seconds(files, known):
    """Return the seconds of each file, of audio where they are not known."""
    seconds = {}
    for utterance, path in files.items():
        if not Path(path).is_file():
            raise InputError(
                f"utterance {utterance!r}: {path} does not exist; run stage 3 again"
            )
        seconds[utterance] = known.get(utterance)
        if seconds[utterance] is None:
            with open_audio(utterance, path) as audio:
                seconds[utterance] = audio.frames / audio.samplerate
    return seconds
