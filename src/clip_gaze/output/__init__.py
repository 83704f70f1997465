"""Results as text, JSON, tables and the report page.

May import analysis, drawing, pictures, system and the root's values, but not clip.
"""
