"""`weights`: trained or downloaded models, one part per artifact.

Part `embedder`: an open_clip folder (`local-dir:`); part `autoencoder`: a diffusers AutoencoderKL
folder; part `diffuser`: a complete Stable Diffusion folder that plain
`StableDiffusionPipeline.from_pretrained` loads. The libraries read the folder itself.
"""

KIND = "weights"
SCHEMA = 1
