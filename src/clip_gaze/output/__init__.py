"""Results as text, JSON, tables and the report page.

May import drawing, pictures, system and the root's values, but not clip.
"""
