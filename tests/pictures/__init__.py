"""Pictures of digits as people have them, drawn and photographed by script, for the tests only."""
