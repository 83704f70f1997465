"""Map the phrase of each movement to the function that renders a plan in its manner."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from demo.painting import movements_geometric as geometric
from demo.painting import movements_painterly as painterly
from demo.painting.fields import Field, Frame
from demo.painting.plans import Plan

Movement = Callable[[np.random.Generator, Frame, Plan], Field]

MOVEMENTS: dict[str, Movement] = {
    "pointillism movement": painterly.pointillism,
    "op art movement": geometric.op_art,
    "de stijl movement": geometric.de_stijl,
    "suprematism movement": geometric.suprematism,
    "color field movement": painterly.color_field,
    "minimalism movement": geometric.minimalism,
    "cubism movement": painterly.cubism,
    "pixel art movement": geometric.pixel_art,
    "glitch art movement": geometric.glitch_art,
    "pop art movement": painterly.pop_art,
    "orphism movement": geometric.orphism,
    "rayonism movement": geometric.rayonism,
    "cloisonnism movement": painterly.cloisonnism,
    "tonalism movement": painterly.tonalism,
    "impressionism movement": painterly.impressionism,
    "action painting movement": painterly.action_painting,
    "ascii art movement": geometric.ascii_art,
    "art deco movement": geometric.art_deco,
}
