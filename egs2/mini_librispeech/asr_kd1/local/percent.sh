# shellcheck shell=bash disable=SC2034
# Source it: the part of the transcripts that PERCENT names (parts), its vocabulary, and schedules of as many steps for any part. Where
# the configurations' own rate was not the best on dev (README.md), ctc_schedule and rnnt_schedule have another one. Transducers begin with the
# encoder of a CTC student (train_ctc_students, ctc_init) and train half as long, in batches of half the size.
percent=${PERCENT:-}
all_rnnt_schedule="--max_epoch 4 --scheduler_conf warmup_steps_list=[0,300,1680]"  # of 5 h, some of it without transcripts
case ${percent} in  # fewer transcripts: a smaller vocabulary and more epochs of fewer steps
    "") nbpe=1000 schedule="" rnnt_schedule=${all_rnnt_schedule} ;;
    30) nbpe=500 schedule="--max_epoch 14 --scheduler_conf warmup_steps_list=[0,150,1000]"
        rnnt_schedule="--max_epoch 7 --scheduler_conf warmup_steps_list=[0,150,1000]" ;;
    21) nbpe=500 schedule="--max_epoch 20 --scheduler_conf warmup_steps_list=[0,150,1000]"
        rnnt_schedule="--max_epoch 10 --scheduler_conf warmup_steps_list=[0,150,1000]" ;;
    10) nbpe=300 schedule="--max_epoch 30 --scheduler_conf warmup_steps_list=[0,120,720]"
        rnnt_schedule="--max_epoch 15 --scheduler_conf warmup_steps_list=[0,120,600]" ;;
    *) echo "$0: PERCENT=${percent}: choose 10, 21, 30 or leave it empty" >&2; exit 2 ;;
esac
ctc_schedule=${schedule}
if [ "${percent}" = 30 ]; then
    ctc_schedule+=" --optim_conf lr=0.012 --scheduler_conf warmup_lr_list=[0.0,0.012,0.00004]"
    rnnt_rate=" --optim_conf lr=0.006 --scheduler_conf warmup_lr_list=[0.0,0.006,0.00001]"
    rnnt_schedule+=${rnnt_rate} all_rnnt_schedule+=${rnnt_rate}
fi
parts=(
    --train_set "train${percent:+_${percent}}"
    --local_data_opts "${percent:+--train_percents 10 21 30}"
    --lm_train_text "data/local/lm_train${percent:+_${percent}}.txt"
    --nbpe "${nbpe}"
)
ctc_init() {  # of this speech encoder: the checkpoint of each seed
    echo "exp/asr_ctc_$(basename "$1")_en_bpe${nbpe}${percent:+_${percent}}_seedSEED/valid.cer_ctc.ave.pth"
}
train_ctc_students() {  # options of asr_kd.sh, of which these keep their own
    ./run_lm_embedding.sh "$@" --skip_eval true --asr_suffix "" --targets "" --control_config "" --init_model "" --unlabelled_sets "" \
        --asr_configs conf/frozen/train_asr_ctc.yaml --asr_args "${ctc_schedule}"
}
