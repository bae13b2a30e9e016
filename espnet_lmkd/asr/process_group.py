"""The end of a training of several processes."""

import time

from torch import distributed


def leave_process_group() -> None:
    """End what ESPnet began with ``init_process_group``, and leaves to the interpreter.

    A thread of gloo keeps the group for a moment after its last work. Should it be the
    last to let go, it ends the group, waits for itself, and the process is aborted.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    if distributed.get_backend() == "gloo":
        time.sleep(1)
    distributed.destroy_process_group()
