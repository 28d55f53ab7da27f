"""Holding the discriminator back while it wins too clearly."""

# How much of the running accuracy is left after a step: it looks back over about ten.
DECAY = 0.9


class DiscriminatorHold:
    """Says when the discriminator shall not learn: a reader that is always right gives no usable reward.

    Args:
        limit: the running accuracy above which it is held; None for never.
    """

    def __init__(self, limit: float | None):
        self.limit = limit
        self.running: float | None = None

    def update(self, accuracy: float) -> bool:
        """Take in the accuracy of a step and say whether the discriminator is held in it."""
        if self.limit is None:
            return False
        self.running = accuracy if self.running is None else DECAY * self.running + (1 - DECAY) * accuracy
        return self.running > self.limit

    def state_dict(self) -> float | None:
        """The running accuracy."""
        return self.running

    def load_state_dict(self, state: float | None) -> None:
        """Restore it."""
        self.running = state
