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
        # Of a lock that its owner may take again: Ctrl-C cancels in whatever the main thread is doing.
        self._changed = threading.Condition(threading.RLock())
        self._cancelled, self._running, self._single_step = False, True, False

    def cancel(self) -> None:
        """End after the current iteration; also wakes a paused computation."""
        with self._changed:
            self._cancelled = self._running = True
            self._changed.notify_all()

    def pause(self) -> None:
        """Wait before the next iteration."""
        with self._changed:
            self._running = False

    def resume(self) -> None:
        """Go on; a step not yet made no longer stops."""
        self._go_on(single_step=False)

    def step(self) -> None:
        """Make one iteration, then wait; of several threads that wait, one goes on."""
        self._go_on(single_step=True)

    @property
    def paused(self) -> bool:
        """True while the next iteration is to wait."""
        return not self._running

    @property
    def cancelled(self) -> bool:
        """True once `cancel` was called."""
        return self._cancelled

    def proceed(self) -> bool:
        """Block while paused; False once cancelled."""
        with self._changed:
            self._changed.wait_for(lambda: self._running or self._cancelled)
            if self._single_step:
                self._single_step = self._running = False
            return not self._cancelled

    def _go_on(self, *, single_step: bool) -> None:
        with self._changed:
            self._single_step, self._running = single_step, True
            self._changed.notify_all()


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
