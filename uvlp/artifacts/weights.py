"""`weights`: trained or downloaded models, one part per artifact.

Part `embedder`: an open_clip folder (`local-dir:`); part `autoencoder`: a diffusers AutoencoderKL
folder; part `diffuser`: a complete Stable Diffusion folder that plain
`StableDiffusionPipeline.from_pretrained` loads; parts `transformer` and `difffit`: complete DiTPipeline
folders. The libraries read the folder itself.
"""

KIND = "weights"
SCHEMA = 1
FILES = {
    "embedder": "models/embedder",
    "autoencoder": "models/autoencoder",
    "diffuser": "models/diffuser",
    "transformer": "models/dit/transformer",
    "difffit": "models/dit/difffit",
}
"""Parts that are trained on the dataset, and their files; `difffit` fine-tunes a DiT."""
