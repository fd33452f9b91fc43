"""Processors of one worker: other threads, and those to come, keep theirs."""

import threading

import pytest
import torch

from napari_xreg.rendering import torch_threads


def elsewhere(ask):
    answers = []
    other = threading.Thread(target=lambda: answers.append(ask()))
    other.start()
    other.join()
    return answers[0]


@pytest.fixture(autouse=True)
def _three():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_only_this_thread_changes():
    with torch_threads(1):
        assert torch.get_num_threads() == 1
        assert elsewhere(torch.get_num_threads) == 3
    assert torch.get_num_threads() == 3


def test_users_that_overlap_leave_nothing_behind():
    first_is_in, second_is_in = threading.Event(), threading.Event()
    seen = {}

    def second():
        first_is_in.wait(10)
        with torch_threads(1):
            second_is_in.set()
            first.join(10)  # ends while this one still goes on
            seen["beside"] = torch.get_num_threads()
        seen["after"] = torch.get_num_threads()

    def begin():
        with torch_threads(2):
            first_is_in.set()
            second_is_in.wait(10)
            seen["first"] = torch.get_num_threads()

    first, other = threading.Thread(target=begin), threading.Thread(target=second)
    first.start()
    other.start()
    other.join(20)
    assert seen == {"first": 2, "beside": 1, "after": 3}
    assert torch.get_num_threads() == 3
    assert elsewhere(torch.get_num_threads) == 3
