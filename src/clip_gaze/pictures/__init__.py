"""Find, load and preprocess pictures, and encode them.

May import model, analysis, system and the root's values and store, but not texts.
"""
