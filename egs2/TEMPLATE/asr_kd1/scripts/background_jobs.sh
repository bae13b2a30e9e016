# shellcheck shell=bash
# Source it to train several experiments at once, at most train_nj: cmd & started; finish

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
