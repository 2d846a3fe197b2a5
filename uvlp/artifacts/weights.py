"""`weights`: trained or fetched models, one part per artifact.

part `embedder`: an open_clip folder (`local-dir:`); part `autoencoder`: a diffusers AutoencoderKL
folder; part `diffuser`: a complete Stable Diffusion folder that plain
`StableDiffusionPipeline.from_pretrained` loads. The folder itself is what the library reads.
"""

KIND = "weights"
SCHEMA = 1
