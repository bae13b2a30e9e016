# shellcheck shell=bash
# Source it to train several experiments at once, at most train_nj: cmd & started; finish

pids=()
trap '[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null' EXIT  # else Ctrl-C leaves trainings behind
trap 'exit 143' INT TERM
started() {  # remember the job just started; wait until fewer than train_nj run
    pids+=("$!")
    while [ "$(jobs -pr | wc -l)" -ge "${train_nj:?}" ]; do sleep 0.2; done
}
finish() {  # wait for all of them; fail if one failed
    local pid
    for pid in "${pids[@]}"; do wait "${pid}"; done
    pids=()
}
