"""Model folders: manifests, the registry, the Hub, verified downloads, ONNX sessions.

May import system and the root's values; alone imports onnxruntime and huggingface_hub.
"""
