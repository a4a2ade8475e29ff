"""The work on a cell: its model trained or corrected, and evaluated on every benchmark.

What is up to date is left alone. A cell has one writer at a time, so that several processes may
work in one experiment; the others wait and find the work done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from isoglot.artifacts import COMPLETE
from isoglot.config.correction import CorrectConfig
from isoglot.config.experiment import ExperimentConfig
from isoglot.config.schema import ScoresConfig
from isoglot.data.collection import Collection
from isoglot.errors import ArtifactError
from isoglot.experiment.cells import Cell
from isoglot.experiment.tokens import TokenMemory
from isoglot.pipeline.evaluation import run_evaluation
from isoglot.pipeline.systems import System, load_system
from isoglot.pipeline.training import run_training

__all__ = ["Workshop"]


class Workshop:
    """Does what is left to do.

    Args:
        config: The experiment.
        cells: All of its cells.
        collections: By label, the benchmarks that are still to be evaluated on.
        root: Folder of the experiment.
        report: Takes a line about what is happening.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        cells: Sequence[Cell],
        collections: Mapping[str, Collection],
        root: Path,
        report: Callable[[str], object],
    ) -> None:
        self._config = config
        self._cells = cells
        self._collections = collections
        self._root = root
        self._report = report
        self._tokens = TokenMemory()

    def finish(self, cell: Cell) -> None:
        """Make a cell's model and its evaluations, as far as they are not there.

        Raises:
            IsoglotError: If data, a model or a folder cannot be used.
        """
        self._make_model(cell)
        if all(cell.is_evaluated(self._root, benchmark) for benchmark in self._config.benchmarks):
            return
        with self._alone(cell):
            system = None
            for benchmark in self._config.benchmarks:
                if not cell.is_evaluated(self._root, benchmark):
                    collection = self._collections[benchmark.label]
                    system = system or self._load(cell, collection)
                    run_evaluation(
                        cell.model(self._root),
                        benchmark,
                        self._root / cell.folder / benchmark.label,
                        collection=collection,
                        system=system,
                        overwrite=True,
                    )

    def _load(self, cell: Cell, collection: Collection) -> System:
        """Load what ranks, with the memory for tokens that all cells share."""
        system = load_system(cell.model(self._root), ScoresConfig(), collection)
        if (encoder := getattr(system, "model", None)) is not None:
            self._tokens.attach(encoder)
        return system

    def _make_model(self, cell: Cell) -> None:
        stage = cell.model_stage(self._root)
        if stage is None or cell.has_model(self._root):
            return
        if cell.of is not None:
            self._make_model(cell.of)
        with self._alone(cell):
            if cell.has_model(self._root):  # another process may have made it meanwhile
                return
            self._withdraw(cell)
            if cell.training is not None:
                run_training(cell.training, stage)
            else:
                self._correct(cell, stage)

    def _correct(self, cell: Cell, stage: Path) -> None:
        from isoglot.pipeline.correction import run_correction

        assert cell.of is not None and cell.correction is not None, "what is not trained"
        model = cell.of.model(self._root)
        run_correction(CorrectConfig(model=model, correction=cell.correction), stage)

    def _withdraw(self, cell: Cell) -> None:
        """Take the markers from all that was made with an earlier model of a cell."""
        made = [other for other in self._cells if other.of is not None and other.of == cell]
        for stage in [
            *(other.model_stage(self._root) for other in made),
            cell.model_stage(self._root),
        ]:
            if stage is not None:
                (stage / COMPLETE).unlink(missing_ok=True)
        for other in (cell, *made):
            for benchmark in self._config.benchmarks:
                (self._root / other.folder / benchmark.label / COMPLETE).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _alone(self, cell: Cell) -> Iterator[None]:
        """Be the only process that writes to a cell; others wait here.

        Raises:
            ArtifactError: If its folder cannot be made or written.
        """
        folder = self._root / cell.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / ".lock")
            try:
                lock.acquire(blocking=False)
            except Timeout:
                self._report(f"waiting for {cell.folder}, which another process works on")
                lock.acquire()
        except OSError as error:
            raise ArtifactError(
                f"{folder}: cannot be used as an output folder ({error.strerror or error})"
            ) from error
        try:
            yield
        finally:
            lock.release()
