"""Cancel, pause and single-step a running computation from another thread."""

import threading


class Control:
    """Shared between a long computation and whoever watches it; every method is thread-safe.

    The computation calls `proceed` once an iteration. Cancelling makes it *return* the best
    result so far with status ``CANCELLED``; closing its generator only releases resources.

    Examples
    --------
    >>> control = Control()
    >>> control.proceed()
    True
    >>> control.cancel()
    >>> control.proceed()
    False
    """

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._running = threading.Event()
        self._running.set()
        self._single_step = threading.Event()

    def cancel(self) -> None:
        """End after the current iteration; also wakes a paused computation."""
        self._cancelled.set()
        self._running.set()

    def pause(self) -> None:
        """Wait before the next iteration."""
        self._running.clear()

    def resume(self) -> None:
        """Go on; a step not yet made no longer stops."""
        self._single_step.clear()
        self._running.set()

    def step(self) -> None:
        """Make one iteration, then wait."""
        self._single_step.set()
        self._running.set()

    @property
    def paused(self) -> bool:
        """True while the next iteration is to wait."""
        return not self._running.is_set()

    @property
    def cancelled(self) -> bool:
        """True once `cancel` was called."""
        return self._cancelled.is_set()

    def proceed(self) -> bool:
        """Block while paused; False once cancelled."""
        self._running.wait()
        if self._single_step.is_set():
            self._single_step.clear()
            self._running.clear()
        return not self._cancelled.is_set()


class CancelOnly(Control):
    """Of a computation within another: cancelled with it, but neither paused nor stepped.

    Parameters
    ----------
    outer
        Of the other; None: nobody cancels it.
    """

    def __init__(self, outer: Control | None) -> None:
        super().__init__()
        self._outer = outer

    @property
    def cancelled(self) -> bool:
        """True once `cancel` was called, here or of the other."""
        return super().cancelled or (self._outer is not None and self._outer.cancelled)

    def proceed(self) -> bool:
        """False once cancelled; never waits for the other to be resumed."""
        return super().proceed() and not self.cancelled
