"""From a request to what it makes."""
