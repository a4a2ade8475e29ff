"""An experiment: encoders x (regimes, shares, variants) x seeds, trained, evaluated and compared.

Every cell of the grid has folders of its own, each with a completion marker; a started experiment
is gone on with by running it again. The folder of encoder E, method M and seed S is ``E/M-seedS``:
its ``train`` holds the training, ``correction`` instead the correction of another cell's model, and
``BENCHMARK`` each evaluation.
"""

from isoglot.experiment.cells import Cell
from isoglot.experiment.run import run_experiment

__all__ = ["Cell", "run_experiment"]
