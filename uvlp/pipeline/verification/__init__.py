"""`uvlp verify`: does a store agree with itself, with its recipes, and with what was published?"""
