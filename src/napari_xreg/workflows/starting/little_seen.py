"""What is said where a radiograph shows a network little of what it looks at."""

from collections.abc import Iterator

LITTLE_SEEN = 0.5
"""Share of the network's picture below which the user is told."""


def little_seen(seen_share: float) -> Iterator[str]:
    """A note, or none."""
    if seen_share < LITTLE_SEEN:
        yield (
            f"the radiograph fills {100 * seen_share:.0f} % of what the network looks at: "
            "its pose is less certain"
        )
