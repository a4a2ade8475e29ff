"""Optimal transport by definition: one pair of texts at a time, in plain numpy."""

import numpy as np
from scipy.optimize import linprog


def sinkhorn(cost, epsilon, iterations):
    """Scale rows and columns of exp(-cost / epsilon) in turn, as Cuturi (2013) writes it."""
    sources, targets = cost.shape
    kernel = np.exp(-cost / epsilon)
    columns = np.full(targets, 1.0 / targets)
    for _ in range(iterations):
        rows = (1.0 / sources) / (kernel @ columns)
        columns = (1.0 / targets) / (kernel.T @ rows)
    return rows[:, None] * kernel * columns[None, :]


def cosine_cost(source, target):
    """(sources, targets): 1 - cosine."""
    cost = np.empty((len(source), len(target)))
    for i, one in enumerate(source):
        for j, other in enumerate(target):
            cost[i, j] = 1 - one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    return cost


def exact_price(cost):
    """The least price at which all shares can be moved, by linear programming."""
    sources, targets = cost.shape
    of_row = np.kron(np.eye(sources), np.ones(targets))
    of_column = np.kron(np.ones(sources), np.eye(targets))
    shares = [*[1 / sources] * sources, *[1 / targets] * targets]
    found = linprog(cost.ravel(), A_eq=np.vstack([of_row, of_column]), b_eq=shares)
    assert found.success
    return found.fun
