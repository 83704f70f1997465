"""Paint pictures for the demo model, train it on them, and measure what it knows."""
