"""From latents and prompts to images."""
