"""Pictures: found, loaded, preprocessed to pixel values, embedded.

May import model, system and the root's values and store, but not texts.
"""
