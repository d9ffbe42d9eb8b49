-- unname: whoever has many queues looks only into those that are named.
redis.call("SREM", named, unpack(unused))
redis.call("UNLINK", unpack(silenced))
