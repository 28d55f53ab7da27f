"""Steps from which nothing is learned, because their numbers went wrong."""

from textae.errors import DivergenceError
from textae.training.metrics import logger

# No loss, reward or gradient norm of a sound run comes near it.
LARGEST = 1e6


def split_finite(metrics: dict[str, float]) -> tuple[dict[str, float], list[str]]:
    """The metrics that make sense, and the names of those that do not: no number, infinite or near it."""
    bad = [name for name, value in metrics.items() if not abs(value) < LARGEST]
    return {name: value for name, value in metrics.items() if name not in bad}, bad


class SkippedSteps:
    """Counts skipped steps in a row, and gives up after too many of them.

    Args:
        most: so many in a row end the run.
    """

    def __init__(self, most: int):
        self.most, self.in_a_row = most, 0

    def add(self, step: int, bad: list[str]) -> None:
        """Take in a step and the names of its metrics that make no sense; none where all is well.

        Raises:
            DivergenceError: if it is one too many.
        """
        if not bad:
            self.in_a_row = 0
            return
        self.in_a_row += 1
        named = f"{', '.join(bad)} {'is' if len(bad) == 1 else 'are'} not finite"
        if self.in_a_row >= self.most:
            raise DivergenceError(
                f"Training broke down at step {step} ({named}, {self.in_a_row} steps in a row); "
                "lower the learning rates and --resume from the last checkpoint."
            )
        logger.warning("step %d is skipped: %s.", step, named)
