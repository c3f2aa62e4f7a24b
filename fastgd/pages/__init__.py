"""What a person looks at: charts, pages, and the story of a training."""
