"""Is a folder the model that it is taken for, by its configuration and tensors?"""
