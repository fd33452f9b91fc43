"""Everything a button or a command does: a request, events, an answer. No napari, no Qt.

A request is a frozen value that has captured its inputs; the workflow of its name takes it and a
`Control`, yields events and returns the answer, in any thread::

    answer = run(refine(RefineRequest(ct, views, settings, isocenter)))

The command line, the window and scripts call the same ones. Names are imported when they are asked
for: a command that reads no CT does not wait for torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
