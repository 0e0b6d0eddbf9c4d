"""What is done with a trained network: predict, evaluate on other images, export with a model card (floor 6)."""
