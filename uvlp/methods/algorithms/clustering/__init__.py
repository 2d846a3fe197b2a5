"""Published variants of k-means, outlier removal, filling of empty clusters."""
