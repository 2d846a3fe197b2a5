"""The class-conditional diffusion transformer: network, process, training, fine-tuning."""
