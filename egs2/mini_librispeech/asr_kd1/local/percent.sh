# shellcheck shell=bash disable=SC2034
# Source it: the part of the transcripts that PERCENT names (parts), its vocabulary, the schedule of as many steps, and where
# the configurations' own was not the best on dev (README.md), the learning rate of CTC students. Transducers that begin with
# a CTC student's encoder need half of it (second_schedule).
percent=${PERCENT:-} ctc_rate=""
case ${percent} in  # fewer transcripts: a smaller vocabulary and more epochs of fewer steps
    "") nbpe=1000 schedule="" second_schedule="--max_epoch 4 --scheduler_conf warmup_steps_list=[0,150,925]" ;;
    30) nbpe=500 schedule="--max_epoch 14 --scheduler_conf warmup_steps_list=[0,150,1000]"
        second_schedule="--max_epoch 7 --scheduler_conf warmup_steps_list=[0,75,500]"
        ctc_rate="--optim_conf lr=0.012 --scheduler_conf warmup_lr_list=[0.0,0.012,0.00004]" ;;
    21) nbpe=500 schedule="--max_epoch 20 --scheduler_conf warmup_steps_list=[0,150,1000]"
        second_schedule="--max_epoch 10 --scheduler_conf warmup_steps_list=[0,75,500]" ;;
    10) nbpe=300 schedule="--max_epoch 30 --scheduler_conf warmup_steps_list=[0,120,720]"
        second_schedule="--max_epoch 15 --scheduler_conf warmup_steps_list=[0,60,360]" ;;
    *) echo "$0: PERCENT=${percent}: choose 10, 21, 30 or leave it empty" >&2; exit 2 ;;
esac
parts=(
    --train_set "train${percent:+_${percent}}"
    --local_data_opts "${percent:+--train_percents 10 21 30}"
    --lm_train_text "data/local/lm_train${percent:+_${percent}}.txt"
    --nbpe "${nbpe}"
)
