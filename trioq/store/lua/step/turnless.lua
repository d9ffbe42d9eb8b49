-- turnless: no job has a turn: nobody has had one too many.
redis.call("UNLINK", turns)
