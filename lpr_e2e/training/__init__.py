"""From data and settings to a trained model: batches, losses, the trainer and its run folder."""
