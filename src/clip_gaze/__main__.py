"""`python -m clip_gaze` is the command `clip-gaze`."""

from clip_gaze.cli import main

if __name__ == "__main__":
    main()
