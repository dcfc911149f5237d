"""Whether gradients are the derivative of the user's own loss, whatever the layers are."""
