"""Models: manifests, the registry, digests, ONNX sessions.

May import system and the root's values; alone imports onnxruntime.
"""
