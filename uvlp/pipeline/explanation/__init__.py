"""What a method does as it would run, taken from the plan of the run itself."""
