"""What is taken where nobody says otherwise; kept apart, since most runs need no more of it."""

# Versions of a picture that are looked at for a heat map.
RUNS = 100
FEWEST_RUNS = 20
QUALITIES = {"quick": 50, "normal": RUNS, "fine": 250}
# From this cosine on, pictures count as nearly equal; docs/find.md has what was measured.
NEAR = 0.95
