#!/usr/bin/env bash
# Run jobs on this machine with the command line of Kaldi's run.pl, so that cmd.sh can
# name queue.pl or slurm.pl of a cluster instead.
set -euo pipefail

help_message="Usage: $0 [--max-jobs-run N] [--gpu N] [JOB=first:last] <log-file> <command> [args ...]
JOB in the log file and the arguments stands for the job's number. --gpu is for clusters; here each of
several jobs with --gpu 1 gets one of the machine's (or of CUDA_VISIBLE_DEVICES).
The log of an earlier run is kept as <log>.1.log, .2.log, ..."

max_jobs_run=0
gpu=0
name=
first=1
last=1
while [ $# -gt 0 ]; do
    case "$1" in
        --max-jobs-run) max_jobs_run=$2; shift 2 ;;
        --gpu) gpu=$2; shift 2 ;;
        --help | -h) echo "${help_message}"; exit 0 ;;
        -*) echo "$0: unknown option $1" >&2; exit 2 ;;
        *=*:*)
            name=${1%%=*}
            range=${1#*=}
            first=${range%%:*}
            last=${range##*:}
            shift
            ;;
        *) break ;;
    esac
done
if [ $# -lt 2 ]; then
    echo "${help_message}" >&2
    exit 2
fi
log=$1
shift
[ "${max_jobs_run}" -gt 0 ] || max_jobs_run=$((last - first + 1))

run_one() {
    local job=$1 log_file=$2 number=1 child code=0
    shift 2
    local arguments=("$@")
    if [ -n "${name}" ]; then
        log_file=${log_file//${name}/${job}}
        arguments=("${arguments[@]//${name}/${job}}")
    fi
    if [ "${gpu}" -eq 1 ] && [ "${last}" -gt "${first}" ]; then
        local devices
        IFS=, read -r -a devices <<<"${CUDA_VISIBLE_DEVICES:-$(seq -s , 0 $((last - first)))}"
        export CUDA_VISIBLE_DEVICES=${devices[$(((job - first) % ${#devices[@]}))]}
    fi
    mkdir -p "$(dirname "${log_file}")"
    if [ -f "${log_file}" ]; then
        while [ -f "${log_file%.log}.${number}.log" ]; do number=$((number + 1)); done
        mv "${log_file}" "${log_file%.log}.${number}.log"
    fi
    printf '# %q' "${arguments[0]}" >"${log_file}"
    printf ' %q' "${arguments[@]:1}" >>"${log_file}"
    printf '\n# started %s\n' "$(date)" >>"${log_file}"
    "${arguments[@]}" >>"${log_file}" 2>&1 </dev/null &
    child=$!
    trap 'kill "${child}"' TERM
    wait "${child}" || code=$?
    if [ "${code}" -eq 0 ]; then
        echo "# ended $(date)" >>"${log_file}"
    else
        echo "# failed with code ${code} $(date)" >>"${log_file}"
        echo "$0: job ${job} failed; ${log_file} ends with:" >&2
        # A sentence for the user, else the tail.
        { grep -E '^error: ' "${log_file}" | tail -n 1 | grep .; } >&2 || tail -n 12 "${log_file}" >&2
    fi
    return "${code}"
}

# Background jobs of a script ignore Ctrl-C: hand it on, or trainings live on.
trap 'kill "${pids[@]}" 2>/dev/null; exit 143' INT TERM
status=0
pids=()
for job in $(seq "${first}" "${last}"); do
    while [ "$(jobs -pr | wc -l)" -ge "${max_jobs_run}" ]; do sleep 0.2; done
    run_one "${job}" "${log}" "$@" &
    pids+=("$!")
done
for pid in "${pids[@]}"; do wait "${pid}" || status=1; done
exit "${status}"
