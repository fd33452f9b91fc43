"""How kernels are compiled: kept on disk where that works, and compiled anew where it does not.

numba refuses to compile at all where it finds no folder to keep the result in, and a damaged file
in that folder breaks every call until somebody removes it. A kernel that takes seconds more to
compile is better than none.

numba also numbers the files of a kernel's signatures in the order in which they come, so that two
programs that compile two signatures at once give both files one name: afterwards one signature finds
the code of the other, and every call fails. Here a file is named after its signature.
"""

import hashlib
import warnings
from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import IndexDataCacheFile

_warned: set[str] = set()


def jit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """``numba.njit`` with these options, that releases the GIL and keeps what it compiles."""

    def decorate(function: Callable[..., Any]) -> Any:
        kernel = numba.njit(nogil=True, **options)(function)
        try:
            kernel.enable_caching()
        except Exception as error:  # numba says RuntimeError, its folders whatever they like
            _warn(
                "the compiled kernels cannot be kept, so that every start compiles them again (some "
                "seconds each): no folder for them can be written; set NUMBA_CACHE_DIR to one that "
                f"can ({_line(error)})"
            )
            return kernel
        kernel._cache._cache_file.__class__ = _NamedAfterSignatures
        kernel._cache = _Forgiving(kernel._cache)
        return kernel

    return decorate


class _NamedAfterSignatures(IndexDataCacheFile):
    """numba's files of one kernel, which several programs may write at once."""

    def save(self, key: Any, data: Any) -> None:
        """The code first: an index never names a file of something else."""
        name = self._data_name(int(hashlib.sha256(repr(key).encode()).hexdigest()[:12], 16))
        self._save_data(name, data)
        self._save_index({**self._load_index(), key: name})


class _Forgiving:
    """numba's cache of one kernel, whose damage and full disks are no errors."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, *arguments: Any) -> Any:
        """What was kept, or None: then it is compiled."""
        try:
            return self._cache.load_overload(*arguments)
        except Exception as error:  # a damaged pickle may raise anything
            _warn(
                "a file of compiled kernels is damaged; they are compiled again and the file is "
                f"written anew ({self._cache.cache_path}: {_line(error)})"
            )
            return None

    def save_overload(self, *arguments: Any) -> None:
        """Kept where that works; a damaged index is begun anew."""
        try:
            try:
                self._cache.save_overload(*arguments)
            except Exception:
                self._cache.flush()
                self._cache.save_overload(*arguments)
        except Exception as error:
            _warn(
                "compiled kernels could not be kept, so that the next start compiles them again "
                f"({self._cache.cache_path}: {_line(error)})"
            )


def _line(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0]


def _warn(words: str) -> None:
    """Once each, up to what is in brackets."""
    key = words.partition(" (")[0]
    if key not in _warned:
        _warned.add(key)
        warnings.warn(words, RuntimeWarning, stacklevel=3)
