"""What the corrections remove or shorten, as functions of unit vectors.

All of them are learned from vectors of length 1, because encoders are compared by cosine: a long
vector is then no stronger witness of its language than a short one. Sums are float64.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = [
    "language_subspace",
    "principal_directions",
    "projection",
    "shortening",
    "unit",
    "within_covariance",
]

FloatArray = npt.NDArray[np.float64]

_NOTHING = 1e-6
"""Singular values below this share of the largest are rounding."""
_FLOOR = 1e-3
"""Variances are raised by this share of the largest, so that no direction grows without bound."""


def unit(vectors: npt.ArrayLike) -> FloatArray:
    """Return vectors (..., dim) scaled to length 1; a vector of zeros stays one."""
    array = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(array, axis=-1, keepdims=True)
    return array / np.where(lengths > 0, lengths, 1.0)


def principal_directions(vectors: FloatArray, count: int) -> FloatArray:
    """Return the first singular vectors of a language's embeddings (LIR, arXiv 2109.04727).

    The embeddings are not centred, as in the authors' notebook: the first direction is close to
    that of the language's mean. They are found as eigenvectors of the second moments, whose size
    does not depend on the number of texts.

    Args:
        vectors: (texts, dim) of one language.
        count: How many, at most dim.

    Returns:
        (count, dim) orthonormal rows, the one that explains most first; signs are arbitrary.
    """
    _, axes = np.linalg.eigh(vectors.T @ vectors)  # in ascending order of what they explain
    return np.ascontiguousarray(axes[:, ::-1][:, :count].T)


def language_subspace(means: FloatArray, count: int | None) -> FloatArray:
    """Return the directions in which the means of languages differ (LSAR, EMNLP 2022).

    The common mean is subtracted, so the means of L languages span L - 1 directions at most. The
    authors subtract a second time, a vector at right angles to what was found first; that changes
    no direction. They also count L directions where we count L - 1: their last one has a singular
    value of zero and so is arbitrary.

    Args:
        means: (languages, dim).
        count: How many; default: all there are.

    Returns:
        (count, dim) orthonormal rows, the one in which they differ most first; signs are arbitrary.
        Fewer where the means differ in fewer.
    """
    _, values, directions = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
    rank = int((values > _NOTHING * max(values[0], np.finfo(np.float64).tiny)).sum())
    return directions[:rank][:count]


def projection(directions: FloatArray) -> FloatArray:
    """Return the matrix (dim, dim) that removes directions: ``I - D^T D``.

    Args:
        directions: (count, dim) orthonormal rows ``D``.
    """
    return np.eye(directions.shape[1]) - directions.T @ directions


def within_covariance(vectors: FloatArray, group: npt.NDArray[np.int64]) -> FloatArray:
    """Return how translations of one text vary: (dim, dim).

    ``1/n sum_i (x_i - m_g(i)) (x_i - m_g(i))^T`` with m_g the mean of a group of translations.

    Args:
        vectors: (texts, dim).
        group: (texts,) 0 upward, the group of each; every group has a text.
    """
    sizes = np.bincount(group)
    sums = np.zeros((len(sizes), vectors.shape[1]))
    np.add.at(sums, group, vectors)
    apart = vectors - (sums / sizes[:, None])[group]
    covariance: FloatArray = apart.T @ apart / len(vectors)
    return covariance


def shortening(covariance: FloatArray, power: float) -> FloatArray:
    """Return the matrix that shortens directions by their variance: (dim, dim).

    ``C^-power`` of the covariance, in units of its mean variance. With 0.5 and the covariance of
    translations it is within-class covariance normalisation (Hatch, Kajarekar and Stolcke 2006).

    Args:
        covariance: (dim, dim) symmetric.
        power: Above 0.
    """
    variances, axes = np.linalg.eigh(covariance)
    variances = np.maximum(variances, 0.0) + _FLOOR * variances.max()
    matrix: FloatArray = (axes * (variances / variances.mean()) ** -power) @ axes.T
    return matrix
