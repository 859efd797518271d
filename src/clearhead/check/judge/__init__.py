"""Each claimed line judged from the lines claimed before it."""
