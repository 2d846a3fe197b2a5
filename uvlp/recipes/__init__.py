"""What to run and what to expect: typed settings, one recipe file per dataset."""
