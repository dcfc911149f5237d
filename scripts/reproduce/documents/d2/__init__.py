"""The blog post on a three layer neural net: 64-200-10 with dropout."""
