"""Published tables with measured values from the store, and the runs that measure missing cells."""
