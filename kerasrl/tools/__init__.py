"""What people do with this project: train, play, plot, export, tune, and start their own recipe."""
