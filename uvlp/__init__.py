"""UVLP: reproduce and compare diffusion-based dataset distillation."""

__version__ = "0.1.0"
