"""What surrounds a training: finding the recipe, starting and rehearsing a run, turning weights back into an agent."""
