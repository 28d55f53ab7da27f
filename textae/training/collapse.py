"""Signs that training is going wrong, told while it can still be stopped."""

from collections import deque
from dataclasses import dataclass

from textae.data.collapse import FEWEST_WORDS, MOST_REPEATED, MOST_REPETITIVE, repeated_share


@dataclass
class CollapseSigns:
    """Watches the last steps for the ways in which a text autoencoder collapses.

    Attributes:
        window: steps that are looked at together.
        maximum_words: the longest length that is asked for; longer on average is a length at a bound.
    """

    window: int
    maximum_words: int

    def __post_init__(self) -> None:
        self.metrics: deque[dict[str, float]] = deque(maxlen=self.window)
        self.texts: deque[list[str]] = deque(maxlen=self.window)

    def add(self, metrics: dict[str, float], texts: list[str]) -> None:
        """Take in one step: its metrics, and one sampled summary for each document."""
        self.metrics.append(metrics)
        self.texts.append(texts)

    def _mean(self, name: str, begin: int = 0, end: int | None = None) -> float:
        values = [step[name] for step in list(self.metrics)[begin:end]]
        return sum(values) / len(values)

    def repeated_summaries(self) -> float:
        """Share of the summaries in the window that another one equals."""
        return repeated_share([text for step in self.texts for text in step])

    def warnings(self) -> list[str]:
        """One sentence for each sign that shows; none before the window is full."""
        if len(self.metrics) < self.window:
            return []
        found = []
        words, unfinished = self._mean("summary/words"), self._mean("summary/unfinished")
        divergence = self._mean("policy/kl")
        repeated, half = self.repeated_summaries(), self.window // 2
        if words > self.maximum_words or unfinished > 0.25:
            found.append(
                f"length at its bound: {words:.1f} words on average, {unfinished:.0%} do not end; "
                "raise adversarial.rewards.length.weight"
            )
        if words < FEWEST_WORDS:
            found.append(f"summaries are nearly empty: {words:.1f} words; lower adversarial.learning_rate")
        if repeated > MOST_REPEATED:
            found.append(
                f"{repeated:.0%} of summaries are repeated; raise adversarial.rewards.reconstruction.weight"
            )
        if self._mean("summary/repetitive") > MOST_REPETITIVE:
            found.append("summaries repeat themselves; raise adversarial.rewards.repetition.weight")
        if "discriminator/accuracy" in self.metrics[-1]:  # a Wasserstein critic has none
            accuracy = self._mean("discriminator/accuracy")
            if accuracy > 0.97:
                found.append(
                    f"the discriminator is right {accuracy:.0%} of the time and teaches nothing; "
                    "lower adversarial.discriminator_learning_rate"
                )
            if abs(accuracy - 0.5) < 0.02:
                found.append("the discriminator only guesses; raise adversarial.discriminator_learning_rate")
        latest = self._mean("policy/kl", begin=-max(1, self.window // 10))
        if latest > 2.0 * max(divergence, 0.5):
            found.append(f"the divergence from the warm encoder jumped to {latest:.1f} nats a token")
        gain = self._mean("reward/reconstruction", half) - self._mean("reward/reconstruction", 0, half)
        loss = self._mean("summary/copied", 0, half) - self._mean("summary/copied", half)
        if gain > 0.05 and loss > 0.1:
            found.append(
                "reconstruction improves while summaries share ever fewer words with their documents: "
                "a private code may be growing; raise adversarial.rewards.reader.weight"
            )
        return found
