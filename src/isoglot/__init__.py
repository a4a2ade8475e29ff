"""isoglot: dense retrievers that answer equally well in every language.

Sub-packages are imported by name (``from isoglot.evaluation.evaluate import evaluate``); nothing
heavy is imported here, so that ``isoglot --help`` and the torch-free parts start at once.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
