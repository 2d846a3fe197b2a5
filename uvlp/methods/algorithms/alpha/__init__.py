"""How strongly text and image are fused: alpha per set, class and cluster."""
