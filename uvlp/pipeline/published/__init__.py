"""Published tables beside what the store holds, and the runs that fill them."""
