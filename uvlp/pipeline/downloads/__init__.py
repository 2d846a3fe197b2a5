"""What a run downloads first: the dataset and published models, announced, checked and carried out."""
