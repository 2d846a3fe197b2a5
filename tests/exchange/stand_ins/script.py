"""A third-party script: prototypes of a folder of images, then images of the prototypes.

It makes the calls of the published scripts of D4M and VLCP and knows nothing of UVLP. Arguments: folders of a
pipeline, of images by class, and for the results.
"""

import json
import sys
from pathlib import Path

import numpy
import torch
from diffusers import StableDiffusionGenLatentsPipeline, StableDiffusionLatents2ImgPipeline
from PIL import Image
from sklearn.cluster import KMeans

NEGATIVE = "cartoon, anime, painting"


def prototypes(model, data):
    """Cluster centres of the clean latents of every class."""
    pipe = StableDiffusionGenLatentsPipeline.from_pretrained(model, torch_dtype=torch.float32).to("cpu")
    centres = {}
    for folder in sorted(data.iterdir()):
        pixels = [numpy.asarray(Image.open(path), numpy.float32) / 255 for path in sorted(folder.iterdir())]
        images = torch.from_numpy(numpy.stack(pixels)).permute(0, 3, 1, 2)
        names = [folder.name] * len(images)
        init_latents, _ = pipe(prompt=names, image=images, strength=0.7, guidance_scale=8)
        model_of_class = KMeans(n_clusters=2, random_state=0, n_init=10).fit(init_latents.flatten(1).numpy())
        centres[folder.name] = model_of_class.cluster_centers_.reshape(2, *init_latents.shape[1:]).tolist()
    return centres


def embeds(pipe, text):
    """States of a prompt and of the negative one, of one length."""
    words = pipe.tokenizer([text, NEGATIVE], padding="max_length", return_tensors="pt")
    return pipe.text_encoder(words.input_ids)[0].split(1)


def synthesise(model, centres, out):
    """Images of the prototypes: with texts as D4M gives them, and with states of them as VLCP does."""
    pipe = StableDiffusionLatents2ImgPipeline.from_pretrained(
        model, torch_dtype=torch.float32, safety_checker=None, requires_safety_checker=False
    ).to("cpu")
    for name, values in centres.items():
        latents = torch.tensor(values, dtype=torch.float32)
        (out / name).mkdir(parents=True)
        torch.manual_seed(0)
        image = pipe(
            prompt=name,
            latents=latents[:1],
            negative_prompt=NEGATIVE,
            is_init=True,
            strength=0.7,
            guidance_scale=8.0,
        ).images[0]
        image.resize((32, 32)).save(out / name / f"{name}-image00.png")
        prompt, negative = embeds(pipe, name)
        torch.manual_seed(0)
        image = pipe(
            prompt_embeds=prompt,
            negative_prompt_embeds=negative,
            latents=latents[1:],
            is_init=True,
            strength=0.7,
            guidance_scale=10.0,
        ).images[0]
        image.resize((32, 32)).save(out / name / f"{name}-image10.png")


if __name__ == "__main__":
    model, data, out = map(Path, sys.argv[1:])
    torch.manual_seed(0)
    centres = prototypes(model, data)
    synthesise(model, centres, out / "images")
    (out / "prototypes.json").write_text(json.dumps(centres), encoding="utf-8")
