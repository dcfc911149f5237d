"""Training steps as people write them, in several styles. They are right as they stand here."""
