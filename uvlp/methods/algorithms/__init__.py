"""The mathematics of the methods, as pure functions compared with golden data."""
