"""Choose a variant that the ONNX Runtime of this machine runs."""

from __future__ import annotations

import logging
import operator
import re
import sys
from typing import TYPE_CHECKING

from clip_gaze.errors import ModelError
from clip_gaze.model import session

if TYPE_CHECKING:
    from clip_gaze.model.manifest import Manifest

logger = logging.getLogger(__name__)

_COMPARE = {">=": operator.ge, "<": operator.lt, "!=": operator.ne}
_CLAUSE = re.compile(r"(>=|<|!=)(\d+(?:\.\d+)*)")


def version() -> str:
    """Return the version of onnxruntime, which is not imported for it where that can be."""
    if "onnxruntime" not in sys.modules:
        from importlib import metadata  # noqa: PLC0415 - loads email, 10 ms

        try:
            return metadata.version("onnxruntime")
        except metadata.PackageNotFoundError:
            pass  # it came under another name, such as onnxruntime-directml
    return session.version()


def runs(requires: str, found: str) -> bool:
    """Return whether a version of onnxruntime is one that a variant requires.

    Args:
        requires: as in a manifest; "" requires nothing.
        found: the version.

    >>> runs("onnxruntime>=1.22", "1.9.1"), runs("onnxruntime>=1.16,!=1.24.2", "1.24.2.dev1")
    (False, False)
    """
    clauses = _CLAUSE.findall(requires)
    return all(
        _COMPARE[sign](session.numbers(found), session.numbers(wanted)) for sign, wanted in clauses
    )


def variant(manifest: Manifest, name: str | None = None) -> str:
    """Return the name of the variant to run, after making sure that it can be.

    Args:
        manifest: of the model.
        name: the variant that was asked for; None: the default one, or the first of the others
            where that does not run here, which is said once.

    Raises:
        ModelError: there is no such variant, or it does not run here, or none does.

    """
    usual, wanted = manifest.variant(name)
    if not wanted.requires or runs(wanted.requires, here := version()):
        return usual
    fit = [other for other, each in manifest.variants.items() if runs(each.requires, here)]
    refused = f"{manifest.name} ({usual}) needs {wanted.requires}, and {here} is here"
    if not fit:
        msg = f"{refused}; install another onnxruntime, or use --model demo"
        raise ModelError(msg)
    if name is not None:
        msg = f"{refused}; use --variant {fit[0]}, or install another onnxruntime"
        raise ModelError(msg)
    logger.warning("%s; %s is used instead", refused, fit[0])
    return fit[0]
