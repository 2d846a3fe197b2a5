"""The generator of StyleGAN-XL, class-conditional, as a prior of images."""
