"""Files of images and labels as dataset distillation saves them (`.pt`, `.npz`, `.safetensors`)."""
