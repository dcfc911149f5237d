"""Which bug brings the difference down to rounding? The searches, from the output layer down."""
