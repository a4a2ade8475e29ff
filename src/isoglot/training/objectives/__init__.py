"""Objectives beside InfoNCE: on the vectors of parallel texts, and on their tokens.

Each is a term of the sum that ``training.objective`` trains for, with a weight of its own.
"""
