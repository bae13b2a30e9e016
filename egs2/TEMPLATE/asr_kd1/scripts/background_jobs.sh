# shellcheck shell=bash
# Source it to train several experiments at once, at most train_nj: launch log cmd & started; finish

if [ "${num_nodes:-1}" -gt 1 ] && [ "${cmd_backend:-local}" = local ]; then
    echo "error: --num_nodes ${num_nodes} needs a cluster to start the trainings: put cmd_backend=slurm or cmd_backend=queue before the command" >&2
    exit 1
fi

running=0 failed=false
# shellcheck disable=SC2046
trap 'kill $(jobs -pr) 2>/dev/null || true' EXIT  # else Ctrl-C leaves trainings behind
trap 'exit 143' INT TERM
# Not by pid: in a long training the numbers of finished jobs are given away again.
next_ended() { wait -n || failed=true; running=$((running - 1)); }
started() {  # count the job just started; wait until fewer than train_nj run
    running=$((running + 1))
    while [ "${running}" -ge "${train_nj:?}" ]; do next_ended; done
}
finish() {  # wait for all of them; fail if one failed
    while [ "${running}" -gt 0 ]; do next_ended; done
    ! "${failed}" || { echo "$0: a job failed; see its log above" >&2; return 1; }
}
launch() {  # log, command ...: a training; on several machines by ESPnet's launcher, which adds what they need to find each other
    local log=$1
    shift
    if [ "${num_nodes:?}" -eq 1 ]; then
        ${cuda_cmd:?} --gpu "${ngpu:?}" "${log}" "$@"
    else
        ${python:?} -m espnet2.bin.launch --cmd "${cuda_cmd}" --log "${log}" --ngpu "${ngpu}" --num_nodes "${num_nodes}" \
            --init_file_prefix "${log%/*}/.dist_init_" -- "$@"
    fi
}
