"""The first steps of every training: they are those that are kept, and a changed recipe is seen."""
