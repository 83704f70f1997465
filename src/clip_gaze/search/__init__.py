"""Search many pictures by their embeddings: the nearest to a query, and those that are alike.

May import pictures, store, analysis, system and the root's values.
"""
