"""Processors of BLAS: one while something is computed here, as many as before afterwards."""

import subprocess
import sys
import threading

import pytest
from blas import ask_for, threads_now

from napari_xreg.rendering import one_blas_thread, with_one_blas_thread


@pytest.fixture(autouse=True)
def _three():
    before = ask_for(3)
    yield
    ask_for(before)


def test_one_thread_within_and_three_afterwards():
    assert threads_now() == 3
    with one_blas_thread():
        assert threads_now() == 1
    assert threads_now() == 3


def test_an_error_gives_the_threads_back():
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        raise ZeroDivisionError
    assert threads_now() == 3


def test_users_that_overlap_leave_nothing_behind():
    inside, leave = threading.Event(), threading.Event()

    def other():
        with one_blas_thread():
            inside.set()
            leave.wait(10)

    with one_blas_thread():
        thread = threading.Thread(target=other)
        thread.start()
        inside.wait(10)
    assert threads_now() == 1  # the first has ended, the other has not
    leave.set()
    thread.join(10)
    assert threads_now() == 3


def test_a_course_of_events_is_the_same_with_one_thread_until_it_ends():
    @with_one_blas_thread
    def course(last, *, then):
        for number in range(last):
            yield number, threads_now()
        return then

    events = course(2, then="end")
    assert threads_now() == 3  # nothing has begun
    seen = [next(events), next(events)]
    assert [number for number, _ in seen] == [0, 1]
    assert [threads for _, threads in seen] == [1, 1]
    with pytest.raises(StopIteration) as end:
        next(events)
    assert end.value.value == "end"
    assert threads_now() == 3


def test_a_course_that_is_given_up_gives_the_threads_back():
    @with_one_blas_thread
    def course():
        yield
        yield

    events = course()
    next(events)
    assert threads_now() == 1
    events.close()
    assert threads_now() == 3


def test_the_library_that_scipy_brings_later_is_limited_too():
    said = subprocess.run(
        [sys.executable, "-c", LATER], capture_output=True, text=True, check=True, timeout=120
    )
    assert set(said.stdout.split()) == {"1"}


LATER = """
from threadpoolctl import OpenBLASController, ThreadpoolController
from napari_xreg.rendering.threads_of_blas import one_blas_thread
with one_blas_thread():
    pass
import scipy.linalg
blas = ThreadpoolController().select(user_api="blas").lib_controllers
for library in blas:
    library.set_num_threads(2)
OpenBLASController.clear_controlling_thread(force=True)
with one_blas_thread():
    print(*(library.get_num_threads() for library in blas if "scipy" in library.filepath))
"""
