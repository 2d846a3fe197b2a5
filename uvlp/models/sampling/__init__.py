"""Sample images from latents and prompts."""
