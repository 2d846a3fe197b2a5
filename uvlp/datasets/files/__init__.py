"""How datasets lie on disk: archives, folders, class lists, images."""
