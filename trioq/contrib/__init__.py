"""trioq in frameworks, one module each: they use its public names, and nothing imports them."""
