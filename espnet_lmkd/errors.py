"""Errors a user can act on: one sentence on stderr and exit code 1, no traceback."""

import functools
import sys


class InputError(Exception):
    """Something given is wrong: says what was wanted, what came and the remedy."""


def exits_cleanly(main):
    """Turn an `InputError` of a command's main into one sentence and exit code 1.

    Example:
        >>> @exits_cleanly
        ... def main(cmd=None):
        ...     raise InputError("text:3: utterance 'a' has no words; remove the line")
    """

    @functools.wraps(main)
    def wrapper(cmd=None):
        try:
            return main(cmd)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)

    return wrapper
