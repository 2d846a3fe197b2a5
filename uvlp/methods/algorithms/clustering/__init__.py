"""k-means in its published forms, outliers, empty clusters."""
