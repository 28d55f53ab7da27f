"""The estimators of the encoder's gradient by name."""

from textae.training.adversarial import AdversarialStep
from textae.training.estimator import Estimator
from textae.training.relaxed import GumbelStep, WassersteinStep

ESTIMATORS: dict[str, type[Estimator]] = {
    "reinforce": AdversarialStep,
    "gumbel": GumbelStep,
    "wgan": WassersteinStep,
}
