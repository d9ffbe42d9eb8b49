-- Those that have a fair key wait for their turns.
put("HSET", flow, more.turns.rows)
put("ZADD", fair, more.turns.members)
put("HSET", turns, more.turns.moved)
