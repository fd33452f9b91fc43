"""Names that every docstring example may use without importing them."""

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace: dict[str, object]) -> None:
    torch.set_num_threads(1)
    doctest_namespace.setdefault("np", np)
    doctest_namespace.setdefault("torch", torch)
