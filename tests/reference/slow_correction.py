"""Corrections as their papers write them, one text and one number at a time."""

from __future__ import annotations

import math

import numpy as np


def mean_of(vectors):
    return [sum(column) / len(vectors) for column in zip(*vectors, strict=True)]


def unit_of(vector):
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length if length else x for x in vector]


def first_directions(vectors, count):
    """Left singular vectors of the matrix with the embeddings as columns."""
    left, _, _ = np.linalg.svd(np.array(vectors).T)
    return left[:, :count].T


def without(vector, directions):
    """Take directions out of a vector, one after the other."""
    left = list(vector)
    for direction in directions:
        share = sum(x * d for x, d in zip(vector, direction, strict=True))
        left = [x - share * d for x, d in zip(left, direction, strict=True)]
    return left


def language_directions(means, count):
    """The two steps of LSAR: a first fit, and a common vector at right angles to its directions."""
    columns = np.array(means).T
    ones = np.ones(columns.shape[1])
    common = columns @ ones / len(ones)
    left, values, right = np.linalg.svd(columns - np.outer(common, ones), full_matrices=False)
    fit = np.outer(common, ones) + left[:, :count] @ np.diag(values[:count]) @ right[:count]
    common = np.linalg.pinv(fit).T @ ones
    common /= (common**2).sum()
    left, _, _ = np.linalg.svd(fit - np.outer(common, ones), full_matrices=False)
    return left[:, :count].T


def language_of(tokens, counts, smoothing):
    """Naive Bayes: the position of the language under which the tokens are most probable."""
    seen = {token for of_lang in counts for token in of_lang}
    found = []
    for of_lang in counts:
        total = sum(of_lang.values()) + smoothing * len(seen)
        logs = [math.log((of_lang.get(t, 0) + smoothing) / total) for t in tokens if t in seen]
        found.append(sum(logs))
    return max(range(len(found)), key=found.__getitem__)


def within_covariance(vectors, group):
    """Products of each text's distance from the mean of its group, added up."""
    dim = len(vectors[0])
    total = [[0.0] * dim for _ in range(dim)]
    for vector, own in zip(vectors, group, strict=True):
        mean = mean_of([other for other, its in zip(vectors, group, strict=True) if its == own])
        apart = [x - m for x, m in zip(vector, mean, strict=True)]
        for i in range(dim):
            for j in range(dim):
                total[i][j] += apart[i] * apart[j] / len(vectors)
    return total
