"""An optimiser that calls a function, turned round: it asks, and whoever runs it answers.

Optimisers of libraries call the loss from within. Here one runs in a thread of its own; each of its
calls comes out as a question, so that every pose it tries can be shown, and it can be ended.
"""

import queue
import threading
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


class _Ended(Exception):
    """Nobody answers any more."""


def questions(
    minimise: Callable[[Callable[[Values], float]], Any],
) -> Generator[Values, float, Any]:
    """What an optimiser asks for, and in the end what it returns.

    Parameters
    ----------
    minimise
        Given a function, minimises it.

    Yields
    ------
    array
        Where it wants to know the loss; `send` it.
    """
    asked: queue.Queue[tuple[str, Any]] = queue.Queue()
    answers: queue.Queue[float | None] = queue.Queue()

    def function(values: Values) -> float:
        asked.put(("ask", np.array(values, dtype=np.float64)))
        answer = answers.get()
        if answer is None:
            raise _Ended
        return answer

    def work() -> None:
        try:
            asked.put(("end", minimise(function)))
        except _Ended:
            pass
        except Exception as error:  # raised where it is waited for
            asked.put(("error", error))

    thread = threading.Thread(target=work, daemon=True, name="xreg-optimiser")
    thread.start()
    try:
        while True:
            kind, value = asked.get()
            if kind == "end":
                return value
            if kind == "error":
                raise value
            answer = yield value
            answers.put(answer)
    finally:
        answers.put(None)
        thread.join()
