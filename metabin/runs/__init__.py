"""What a long run needs: checkpoints, progress, processes, compiling, provenance, commands."""
