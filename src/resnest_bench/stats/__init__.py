"""Statistics on numpy arrays. Nothing here imports anything else of this project."""
