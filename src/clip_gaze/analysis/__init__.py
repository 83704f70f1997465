"""Arithmetic on embeddings: similarity, ranking, occlusion, comparison.

May import the root's values alone; it is handed the arrays.
"""
