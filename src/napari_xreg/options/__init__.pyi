from .option import (
    Choice as Choice,
    Option as Option,
    Setting as Setting,
    settings_of as settings_of,
)
