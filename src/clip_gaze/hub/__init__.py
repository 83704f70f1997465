"""The Hugging Face Hub: its address and cache, and verified downloads of published models.

May import model, system and the root's values; alone imports huggingface_hub.
"""
