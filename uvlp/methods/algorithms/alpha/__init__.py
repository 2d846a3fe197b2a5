"""Search of the fusion weight α of image and text: global, per class, per cluster."""
