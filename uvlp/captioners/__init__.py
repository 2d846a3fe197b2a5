"""What describes images in words: one file per captioner."""
