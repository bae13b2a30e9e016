"""One shard on the disk: a Kaldi archive of NumPy arrays.

An int8 shard begins with the float32 scale of each column, the smallest with which no
value of the shard leaves -127 .. 127: a value is off by at most half of it. Columns and
not rows, since language models have columns many times as large as the others. The
values follow deflated, one uint8 vector a text: student tokens within the same token of
the teacher share a row, and few values come near to 127.
"""

import os
import zlib
from contextlib import contextmanager

import kaldiio
import numpy as np

from espnet_lmkd.errors import InputError
from espnet_lmkd.targets.schema import to_stored

# No text has this key: theirs are 16 hex digits.
SCALE = "scale"
SCALE_OFFSET = len(SCALE) + 1


@contextmanager
def replacing(path):
    """Open a temporary file that, once whole and on the disk, replaces ``path``."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


@contextmanager
def ark_writer(path, name, dtype):
    """Open an `ArkWriter` whose shard replaces ``path`` once it is whole.

    Args:
        path: File to write.
        name: A key of `TARGETS`.
        dtype: NumPy type on disk.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp(), "teacher_hidden.0.ark")
        >>> with ark_writer(path, "teacher_hidden", "int8") as ark:
        ...     ark.add("0123456789abcdef", np.ones((3, 16)))
        >>> len(ark.offsets), ark.squares[1]
        (1, 48.0)
    """
    with replacing(path) as file:
        writer = ArkWriter(file, name, dtype)
        yield writer
        writer.finish()


class ArkWriter:
    """Append the arrays of one target to a file.

    They are written as they come, but int8 ones are held until the last is there, since
    the scale comes first.

    Args:
        file: Open file.
        name: A key of `TARGETS`.
        dtype: NumPy type on disk.
    """

    def __init__(self, file, name, dtype):
        self.name, self.dtype = name, dtype
        self.offsets = []  # of each array, for its scp entry
        self.squares = [0.0, 0.0]  # sums over the errors of dtype and over the values
        self._file, self._held = file, {}

    def add(self, key, array):
        """Add the (L, dim) array of a text.

        Raises:
            InputError: If a value is not finite, or not in this type.
        """
        if self.dtype == "int8":
            self._held[key] = array
            return
        with np.errstate(over="ignore"):
            stored = to_stored(self.name, array, self.dtype)
        self._write(key, array, stored, stored)

    def finish(self):
        """Write what is held.

        Raises:
            InputError: If a value is not finite.
        """
        if not self._held:
            return
        scale = column_scale(self._held.values())
        _append(self._file, SCALE, scale)
        for key, array in self._held.items():
            with np.errstate(invalid="ignore"):
                stored = quantize(array, scale)
                restored = dequantize(stored, scale)
            self._write(key, array, deflate(stored), restored)

    def _write(self, key, array, stored, restored):
        if not np.isfinite(restored).all():
            raise InputError(
                f"{self.name} of the text {key} is not finite as {self.dtype}; give"
                " --hidden_dtype int8, or another layer or teacher"
            )
        self.offsets.append(_append(self._file, key, stored))
        exact = np.asarray(array, dtype=np.float64)
        self.squares[0] += float(((restored - exact) ** 2).sum())
        self.squares[1] += float((exact**2).sum())


def column_scale(arrays) -> np.ndarray:
    """Return the smallest scale of each column that keeps all values within int8.

    Args:
        arrays: (L, dim) arrays.

    Returns:
        (dim,) float32.

    Example:
        >>> column_scale([np.array([[0.0, 1.27]]), np.array([[-127.0, 0.0]])])
        array([1.  , 0.01], dtype=float32)
    """
    largest = np.max([np.abs(array).max(0) for array in arrays], axis=0)
    # A column of zeros has a scale as well.
    return np.maximum(largest / 127, np.finfo(np.float32).tiny).astype(np.float32)


def quantize(array, scale) -> np.ndarray:
    """Return the int8 array that `dequantize` brings back to within half a scale."""
    return np.rint(array / scale).astype(np.int8)


def dequantize(array, scale) -> np.ndarray:
    """Return the float32 values of an int8 array."""
    return array * scale


def deflate(array) -> np.ndarray:
    """Return the uint8 vector that `inflate` turns into this int8 array.

    Example:
        >>> inflate(deflate(np.eye(2, dtype=np.int8)), dim=2).tolist()
        [[1, 0], [0, 1]]
    """
    return np.frombuffer(zlib.compress(array.tobytes(), level=1), np.uint8)


def inflate(vector, dim) -> np.ndarray:
    """Return the (L, dim) int8 array of a uint8 vector.

    Raises:
        zlib.error, ValueError: If it holds none.
    """
    return np.frombuffer(zlib.decompress(vector), np.int8).reshape(-1, dim)


def _append(file, key, array):
    """Append an array to an open ark and return the offset for its scp entry."""
    offset = file.tell() + len(key) + 1
    kaldiio.save_ark(file, {key: array}, write_function="numpy")
    return offset
