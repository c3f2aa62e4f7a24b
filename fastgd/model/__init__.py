"""What learns, predicts and measures."""
