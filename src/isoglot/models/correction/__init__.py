"""Language information taken out of an encoder's vectors after training.

``formulas`` says what is removed, ``detection`` tells languages by their tokens, ``module`` is what
a saved encoder holds, ``attach`` puts it into one and finds it again.
"""

from isoglot.models.correction.module import LanguageCorrection

__all__ = ["LanguageCorrection"]
