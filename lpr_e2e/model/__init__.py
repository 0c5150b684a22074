"""The one Keras model: shared backbone, box head, differentiable crop, attention decoder."""
