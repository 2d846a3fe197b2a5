"""Parts of unfinished artifacts: made by one job or by several, kept when a run is interrupted."""
