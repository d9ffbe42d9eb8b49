"""A little shop: what is slow, or may fail, is a job."""
