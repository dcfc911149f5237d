"""What a network is: its plan, its weights as the user keeps them, and the right mathematics."""
