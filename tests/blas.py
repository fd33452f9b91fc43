"""Threads of numpy's BLAS, as a test asks for them."""

import pytest
from threadpoolctl import OpenBLASController, ThreadpoolController


def _numpys():
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return next((each for each in found if "numpy" in each.filepath), None)


def threads_now():
    """The number of threads."""
    return _numpys().get_num_threads()


def ask_for(threads):
    """So many, whichever thread limits them next; the test is skipped where that cannot be."""
    library = _numpys()
    if library is None:
        pytest.skip("the BLAS of this numpy cannot be asked for its threads")
    before = library.get_num_threads()
    library.set_num_threads(threads)
    OpenBLASController.clear_controlling_thread(force=True)
    return before
