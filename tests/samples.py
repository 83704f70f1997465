"""Values that more than one test file uses."""

from __future__ import annotations

from hypothesis import strategies as st

from clip_gaze.model.manifest import (
    ImageSettings,
    Manifest,
    ModelFile,
    Source,
    TextSettings,
    Variant,
)
from clip_gaze.results import PhraseScore, PictureResult

# Seconds: a busy machine must not fail a test.
PATIENCE = 120
SHA = "0123456789abcdef" * 4
MANIFEST = Manifest(
    name="näïve",
    source=Source("someone/some-clip", "0" * 40),
    licence="MIT",
    image=ImageSettings(224, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.2757)),
    text=TextSettings(77, 49407),
    embedding_dim=512,
    logit_scale=99.99999237060547,
    default_variant="fp32",
    tokenizer=ModelFile("tokenizer.json", 12, SHA),
    variants={
        "fp32": Variant(ModelFile("onnx/vision.onnx", 1, SHA), ModelFile("text.onnx", 2, None)),
        "q8": Variant(
            ModelFile("vision_q8.onnx", None, SHA, "8 bit"),
            ModelFile("t", None, None),
            vision_data=ModelFile("vision_q8.onnx_data", 3, SHA),
            requires="onnxruntime>=1.22,!=1.24.2",
        ),
    },
    download=True,
    note="Made from noise.",
)
# Neither a phrase nor a file's name has a NUL.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)
SCORES = st.lists(
    st.builds(PhraseScore, TEXT, st.floats(0, 1)), min_size=1, max_size=4
).map(tuple)  # fmt: skip
SEEN = st.builds(PictureResult, TEXT, TEXT, TEXT, st.dictionaries(TEXT, SCORES, max_size=3))
UNREAD = st.builds(
    PictureResult, TEXT, TEXT, TEXT, st.just({}), st.just("error"), TEXT.filter(bool)
)  # fmt: skip
RESULTS = st.lists(SEEN | UNREAD, max_size=4)
