"""`weights`: trained or downloaded models, one part per artifact.

Part `embedder`: an open_clip folder (`local-dir:`); part `autoencoder`: a diffusers AutoencoderKL
folder; part `diffuser`: a complete Stable Diffusion folder that plain
`StableDiffusionPipeline.from_pretrained` loads; part `transformer`: a complete DiTPipeline folder. The
libraries read the folder itself.
"""

KIND = "weights"
SCHEMA = 1
FILES = {
    "embedder": "models/embedder",
    "autoencoder": "models/autoencoder",
    "diffuser": "models/diffuser",
    "transformer": "models/dit/transformer",
}
"""Parts that are trained only on the dataset, and their files."""
