"""Recipes: typed settings of all stages, profiles, limits and overrides."""
