"""Heat maps, charts and cards, as PNG or SVG.

May import pictures, system and the root's values, but not clip.
"""
