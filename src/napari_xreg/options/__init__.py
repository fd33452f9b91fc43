"""What a setting is, said once: its words, unit, range and choices. Forms and commands are made of it.

A settings dataclass annotates the fields that a user may set::

    samples: Annotated[int, Option("Samples", "Along each section.", low=3, high=201)] = 25

`widgets.parts.form` makes the form, `cli.arguments.options` the arguments of a command: both offer the same.
Fields without an `Option` are for scripts. Imports nothing heavy: a command line asks for help often.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
