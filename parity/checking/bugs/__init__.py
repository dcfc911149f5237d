"""The bugs: for each piece of a network, the wrong ways to compute it, with their texts."""
