"""What a long run needs: checkpoints, progress, several processes, compiling, provenance, its commands."""
