"""Paint made-up pictures in stages: a subject's plan, a movement, a material, a surface."""
