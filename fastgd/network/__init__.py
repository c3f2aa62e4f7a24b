"""What a network is: names and sizes become offsets and codes. No data and no training."""
