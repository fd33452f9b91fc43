"""Cancel, pause and step from another thread."""

import threading

from napari_xreg.progress import CancelOnly, Control


def test_pause_blocks_until_resumed():
    control = Control()
    control.pause()
    passed = threading.Event()
    worker = threading.Thread(target=lambda: (control.proceed(), passed.set()))
    worker.start()
    assert not passed.wait(0.1)
    control.resume()
    assert passed.wait(5.0)
    worker.join()


def test_step_lets_one_iteration_through():
    control = Control()
    control.pause()
    count = []
    worker = threading.Thread(target=lambda: [count.append(control.proceed()) for _ in range(2)])
    worker.start()
    control.step()
    for _ in range(100):
        if len(count) == 1 and control.paused:
            break
        threading.Event().wait(0.02)
    assert count == [True]
    control.cancel()
    worker.join(5.0)
    assert count == [True, False]


def test_cancel_wakes_a_paused_computation():
    control = Control()
    control.pause()
    control.cancel()
    assert not control.proceed()


def test_resuming_takes_back_a_step_not_yet_made():
    control = Control()
    control.step()
    control.resume()
    assert control.proceed()
    assert not control.paused


def test_within_another_computation_only_its_cancelling_counts():
    outer = Control()
    inner = CancelOnly(outer)
    outer.pause()
    assert inner.proceed()
    outer.step()
    assert inner.proceed()
    assert not outer.paused  # the step is still to be made
    outer.cancel()
    assert inner.cancelled
    assert not inner.proceed()
    alone = CancelOnly(None)
    assert alone.proceed()
    alone.cancel()
    assert not alone.proceed()


def test_a_step_lets_one_of_several_go():
    control = Control()
    control.pause()
    gone = threading.Semaphore(0)
    waiting = [
        threading.Thread(target=lambda: (control.proceed(), gone.release()), daemon=True)
        for _ in range(8)
    ]
    for thread in waiting:
        thread.start()
    for _ in range(3):
        control.step()
        assert gone.acquire(timeout=20.0)
        assert not gone.acquire(timeout=0.1)
    control.cancel()
    for thread in waiting:
        thread.join(20.0)
        assert not thread.is_alive()


def test_a_step_that_was_asked_for_holds_nobody_once_it_is_cancelled():
    control = Control()
    control.step()
    control.cancel()
    ended = threading.Thread(target=lambda: [control.proceed() for _ in range(2)], daemon=True)
    ended.start()
    ended.join(20.0)
    assert not ended.is_alive()
