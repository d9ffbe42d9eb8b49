-- Those that have a fair key get their tags.
-- @use tagged
redis.call("ZCARD", fair)
in_turn = tagged(becoming)
-- @may ZADD
