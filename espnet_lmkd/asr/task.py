"""ESPnet's recognition task with this pack's classes registered at import.

Registration belongs here and not in a launcher: multi-GPU training spawns processes
that import the task anew.
"""

import argparse
import hashlib
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import yaml
from espnet2.tasks import asr as espnet_asr
from espnet2.train import dataset
from espnet2.utils.yaml_no_alias_safe_dump import yaml_no_alias_safe_dump

from espnet_lmkd.asr import warprnnt
from espnet_lmkd.asr.cif_decoder import CIFDecoder
from espnet_lmkd.asr.live_teacher import LiveTeacher
from espnet_lmkd.asr.model import LMKDASRModel
from espnet_lmkd.asr.pooled_conformer import PooledConformerEncoder
from espnet_lmkd.asr.process_group import leave_process_group
from espnet_lmkd.asr.speech_encoder import SpeechEncoder
from espnet_lmkd.asr.speech_prompt.decoder import SpeechPromptDecoder
from espnet_lmkd.data.directory import read_table
from espnet_lmkd.distillers import registry
from espnet_lmkd.distillers.interaed import BertKDDecoder
from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.check import check_store
from espnet_lmkd.targets.schema import TARGETS
from espnet_lmkd.targets.store import TargetReader, read_manifest
from espnet_lmkd.targets.vocabulary import StudentTokenizer, read_token_list

LOADER = "lmkd_target"


def _register(choices, name: str, new_class: type) -> None:
    base = getattr(choices, "base_type", None) or getattr(choices, "type_check", None)
    if base is not None and not issubclass(new_class, base):
        raise TypeError(f"{new_class.__name__} is no {base.__name__}")
    choices.classes[name] = new_class


warprnnt.provide()
_register(espnet_asr.model_choices, "lmkd", LMKDASRModel)
_register(espnet_asr.encoder_choices, "lmkd_speech", SpeechEncoder)
_register(espnet_asr.encoder_choices, "lmkd_pooled_conformer", PooledConformerEncoder)
_register(espnet_asr.decoder_choices, "lmkd_bert_kd", BertKDDecoder)
_register(espnet_asr.decoder_choices, "lmkd_cif", CIFDecoder)
_register(espnet_asr.decoder_choices, "lmkd_speech_prompt", SpeechPromptDecoder)
dataset.DATA_TYPES[LOADER] = dict(
    func=TargetReader,
    kwargs=[],
    help="Teacher targets written by espnet_lmkd.bin.extract_targets"
    "\n\n   utterance_id_A teacher_topk_ids.0000.ark:42\n   ...",
)


class ASRKDTask(espnet_asr.ASRTask):
    """`ASRTask` that knows teacher targets and checks their store before training."""

    @classmethod
    def optional_data_names(
        cls, train: bool = True, inference: bool = False
    ) -> Tuple[str, ...]:
        """Return ESPnet's names and every target of the schema."""
        return super().optional_data_names(train, inference) + tuple(TARGETS)

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser):
        """Add ESPnet's arguments; name the distillers in --help."""
        super().add_task_arguments(parser)
        parser.add_argument(
            "--target_store",
            nargs="+",
            default=None,
            help="Folders written by extract_targets for the training set; stand for "
            "one --train_data_path_and_name_and_type a target of the distillers",
        )
        parser.add_argument(
            "--data_digest", default=None, help="training writes it to config.yaml"
        )
        parser.epilog = (
            "model_conf.distillers takes a list of {type, name, weight, conf} with the "
            f"types {registry.names()} or a dotted path."
        )

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> espnet_asr.ESPnetASRModel:
        """Build the model; what pretrained parts are made of goes to config.yaml."""
        pretrained = {"lmkd_speech", "lmkd_speech_prompt"} & {
            args.encoder,
            args.decoder,
        }
        if args.init is not None and pretrained:
            raise InputError(
                f"init: {args.init} would overwrite the pretrained weights of "
                f"{sorted(pretrained)}; set init: none"
            )
        model = super().build_model(args)
        for symbol in ("sym_blank", "sym_sos", "sym_eos"):
            token = args.model_conf.get(symbol)
            if token is not None and token not in model.token_list:
                raise InputError(
                    f"model_conf: {symbol}: {token!r} is none of the "
                    f"{len(model.token_list)} tokens; ESPnet would take another one"
                )
        if isinstance(model.encoder, SpeechEncoder):
            if args.normalize is not None:
                raise InputError(
                    f"normalize: {args.normalize} would change the waveform that "
                    "lmkd_speech was pretrained on; set normalize: null"
                )
            args.encoder_conf["config"] = model.encoder.config()
        if isinstance(model.decoder, SpeechPromptDecoder):
            args.decoder_conf["config"] = model.decoder.config()
            check_prompted(model)
        interctc = getattr(model.encoder, "interctc_layer_idx", None)
        if interctc and model.use_transducer_decoder:
            raise InputError(
                f"interctc_layer_idx {interctc}: ESPnet cannot decode a transducer "
                "with intermediate CTC; leave it out of encoder_conf"
            )
        return model

    @classmethod
    def main(
        cls,
        args: Optional[argparse.Namespace] = None,
        cmd: Optional[Sequence[str]] = None,
    ):
        """Check the stores, then train as ESPnet does."""
        if args is None:
            args = cls.get_parser().parse_args(cmd)
        if not (args.print_config or args.dry_run or args.collect_stats):
            add_targets(args)
            complete_distillers(args)
            args.data_digest = data_digest(args)
            check_targets(args)
            check_resume(args)
        super().main(args=args)

    @classmethod
    def main_worker(cls, args: argparse.Namespace) -> None:
        """Train as ESPnet does, in each process, then leave the others."""
        super().main_worker(args)
        leave_process_group()


def check_prompted(model: espnet_asr.ESPnetASRModel) -> None:
    """Refuse a speech-prompted recogniser whose parts would train something else."""
    if model.decoder.quantity_weight > 0 and not isinstance(model, LMKDASRModel):
        raise InputError("bridge: cif has a loss of its own; set model: lmkd")
    if model.ctc is not None and model.blank_id != 0:
        raise InputError(
            f"model_conf: sym_blank is token {model.blank_id}, and ESPnet's CTC takes "
            f"token 0 for blank; set sym_blank: {model.token_list[0]!r}, or "
            "ctc_weight: 0.0"
        )


def needed_targets(args: argparse.Namespace) -> List[str]:
    """Return the stored targets that the configured distillers read."""
    types = [entry.get("type", "") for entry in args.model_conf.get("distillers", ())]
    names = {name for t in types for name in registry.get_class(t).targets}
    live = LiveTeacher.targets if args.model_conf.get("live_teacher") else ()
    return sorted(names.difference(live))


def add_targets(args: argparse.Namespace) -> None:
    """Turn --target_store into the training data entries that the distillers need."""
    if args.target_store is None:
        return
    given = {name for _, name, _ in args.train_data_path_and_name_and_type}
    wanted = [name for name in needed_targets(args) if name not in given]
    found = {name: _find_target(args.target_store, name) for name in wanted}
    for name, store in found.items():
        triple = (f"{store}/{name}.scp", name, LOADER)
        args.train_data_path_and_name_and_type.append(triple)
    # A store that nobody reads does not make another training.
    args.target_store = sorted(set(found.values())) or None


def _find_target(stores: Sequence[str], name: str) -> str:
    holding = [store for store in stores if name in read_manifest(store)["targets"]]
    if len(holding) != 1:
        raise InputError(
            f"the distillers need the target {name}, which {len(holding)} of the "
            f"stores {list(stores)} hold; one of them must (stage 7: --targets)"
        )
    return holding[0]


def complete_distillers(args: argparse.Namespace) -> None:
    """Fill in what a store decides about its distiller, such as the teacher's width.

    Raises:
        InputError: the configuration says otherwise than the store.
    """
    triples = args.train_data_path_and_name_and_type
    scps = {name: path for path, name, kind in triples if kind == LOADER}
    for entry in args.model_conf.get("distillers", ()):
        distiller = registry.get_class(entry.get("type", ""))
        scp = next((scps[name] for name in distiller.targets if name in scps), None)
        if scp is None:
            continue
        conf = entry.setdefault("conf", {})
        for key, value in distiller.store_conf(read_manifest(Path(scp).parent)).items():
            if conf.setdefault(key, value) != value:
                raise InputError(
                    f"distiller {entry['type']!r}: {key} is {conf[key]}, but the store "
                    f"{Path(scp).parent} has {value}; leave the option out"
                )


def data_digest(args: argparse.Namespace) -> str:
    """Return a hash of what is trained and validated on: tables, text and stores."""
    digest = hashlib.sha256()
    triples = [
        *args.train_data_path_and_name_and_type,
        *args.valid_data_path_and_name_and_type,
    ]
    for path, _, kind in triples:
        path = Path(path).parent / "manifest.json" if kind == LOADER else Path(path)
        digest.update(path.read_bytes())
    return digest.hexdigest()


def check_targets(args: argparse.Namespace) -> None:
    """Refuse to train on a store that is stale, incomplete or of another tokenizer.

    Args:
        args: the training arguments, with data as (path, name, type) triples.

    Raises:
        InputError: says what is wrong and what to run again.
    """
    triples = args.train_data_path_and_name_and_type
    data = {name: (path, kind) for path, name, kind in triples}
    missing = sorted(set(needed_targets(args)) - data.keys())
    if missing:
        raise InputError(
            f"the distillers of this configuration need the targets {missing}; give "
            "--target_store <folder written by extract_targets>"
        )
    stores = {str(Path(path).parent) for path, kind in data.values() if kind == LOADER}
    live_teacher = args.model_conf.get("live_teacher")
    token_list = args.token_list
    if (stores or live_teacher) and isinstance(token_list, str):
        token_list = read_token_list(token_list)
    if live_teacher:
        LiveTeacher(**live_teacher).check(token_list)
    for store in sorted(stores):
        tokenizer = StudentTokenizer(args.token_type, token_list, args.bpemodel)
        texts, audio = read_table(data["text"][0]), None
        if any(TARGETS[t].side == "frame" for t in read_manifest(store)["targets"]):
            audio = read_table(data["speech"][0])
        report = check_store(store, texts, tokenizer.record(), tokenizer, audio=audio)
        report.raise_if_bad()


# What makes a training another one; max_epoch may grow and machines may change.
IDENTITY = """
seed token_type data_digest model model_conf frontend frontend_conf specaug
specaug_conf normalize preencoder preencoder_conf encoder encoder_conf decoder
decoder_conf ctc_conf optim optim_conf scheduler scheduler_conf batch_type batch_size
batch_bins accum_grad grad_clip init init_param use_amp joint_net_conf freeze_param
best_model_criterion keep_nbest_models num_iters_per_epoch
""".split()


def check_resume(args: argparse.Namespace) -> None:
    """Refuse to resume an experiment that was started with other options.

    ESPnet would go on, or find it finished, and report the old model under a new name.

    Raises:
        InputError: names the options that differ.
    """
    config = Path(args.output_dir, "config.yaml")
    if not args.resume or not Path(args.output_dir, "checkpoint.pth").is_file():
        return
    before = yaml.safe_load(config.read_text(encoding="utf-8"))
    now = yaml.safe_load(yaml_no_alias_safe_dump(vars(args)))
    token_list = args.token_list
    now["token_list"] = (
        read_token_list(token_list) if isinstance(token_list, str) else token_list
    )
    names = [name for name in (*IDENTITY, "token_list") if name in before]
    if args.input_size is not None:  # then ESPnet empties the frontend as it builds
        names = [name for name in names if not name.startswith("frontend")]
    for name in ("encoder_conf", "decoder_conf"):
        if "config" not in (now[name] or {}):  # of a pretrained part, made by training
            (before[name] or {}).pop("config", None)
    differ = [name for name in names if before[name] != now[name]]
    if differ:
        raise InputError(
            f"{args.output_dir} holds a training with other {', '.join(differ)}; "
            "remove it or give this one another name (--asr_suffix)"
        )
