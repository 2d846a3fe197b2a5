"""Fine-tuning of Stable Diffusion: a job, its processes and checkpoints."""
