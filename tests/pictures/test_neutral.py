import hashlib

import numpy as np
import PIL

from clip_gaze.pictures import neutral

# Golden: another digest would make everyone's stored corrections mean something else. Pillow 13
# resizes in another order of passes; what is stored says which did it.
NEUTRAL_1 = (
    "dc3dbc32133f99128d459b3e2e37ed887aae06974e771cfd43e485518f73ac7f"
    if int(PIL.__version__.split(".")[0]) >= 13
    else "f512b2afc55b32ed808bdf2cc8546ba6750413ffaf33a600158ae60f463d8c78"
)


def test_the_pictures_are_the_same_for_everyone() -> None:
    digest = hashlib.sha256()
    for image in neutral.pictures():
        digest.update(image.tobytes())
    assert (neutral.NAME, digest.hexdigest()) == ("neutral-1", NEUTRAL_1)


def test_there_are_as_many_as_said_and_no_two_are_alike() -> None:
    images = list(neutral.pictures())
    assert len({image.tobytes() for image in images}) == len(images) == neutral.COUNT
    assert {(image.mode, image.size) for image in images} == {("RGB", (224, 224))}


def test_together_they_lean_to_no_colour() -> None:
    mean = np.mean([np.asarray(image).mean(axis=(0, 1)) for image in neutral.pictures()], axis=0)
    assert np.abs(mean - 127.5).max() < 8


def test_a_gradient_goes_one_way() -> None:
    east, *_ = (np.asarray(image, float) for image in list(neutral.pictures())[22:30])
    assert np.ptp(east, axis=0).max() == 0  # the first one runs from left to right
    steps = np.diff(east[0], axis=0)
    assert all((channel >= 0).all() or (channel <= 0).all() for channel in steps.T)
