"""Phrases: shipped lists, templates, token ids, text embeddings.

May import model, system and the root's values and store, but not pictures.
"""
