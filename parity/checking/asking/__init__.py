"""All that runs the user's code: with copies, in every convention, and put back afterwards."""
