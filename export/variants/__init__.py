"""Quantise the graphs of a model folder, and judge what that does to its answers.

Imports neither torch nor transformers.
"""
